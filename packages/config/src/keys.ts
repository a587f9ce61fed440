import { z } from 'zod';

/** One key of a schema, as the reference prints it. */
export interface KeyDescription {
  /** Dotted path; `[]` stands for any item of a list. */
  readonly path: string;
  readonly type: string;
  /** The default as JSON, or words in Markdown for one that depends on other things; undefined: none. */
  readonly defaultText: string | undefined;
  readonly required: boolean;
  readonly description: string;
}

type Json = z.core.JSONSchema.JSONSchema;

/** The JSON Schema of what a person may write. Defaults that depend on other keys are left in as `computed_default`. */
export function describedSchema(schema: z.ZodType): Json {
  return z.toJSONSchema(schema, { io: 'input' });
}

/** All keys of an object schema that can be set to a value, in the order of the schema. */
export function describeKeys(schema: z.ZodType): KeyDescription[] {
  return [...walk(describedSchema(schema), '')];
}

function* walk(node: Json, prefix: string): Generator<KeyDescription> {
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    if (typeof child === 'boolean') continue;
    const path = prefix === '' ? key : `${prefix}.${key}`;
    if (child.properties !== undefined) {
      yield* walk(child, path);
      continue;
    }
    const computed: unknown = child.computed_default;
    yield {
      path,
      type: typeName(child),
      defaultText:
        typeof computed === 'string'
          ? computed
          : child.default === undefined
            ? undefined
            : `\`${JSON.stringify(child.default)}\``,
      required: node.required?.includes(key) ?? false,
      description: child.description ?? '',
    };
    const items = child.items;
    if (items !== undefined && typeof items === 'object' && !Array.isArray(items))
      yield* walk(items, `${path}[]`);
  }
}

function typeName(node: Json): string {
  if (node.const !== undefined) return `\`${JSON.stringify(node.const)}\``;
  if (node.enum !== undefined) return node.enum.map((value) => `\`${JSON.stringify(value)}\``).join(' ');
  if (node.anyOf !== undefined) {
    return node.anyOf.map((each) => (typeof each === 'boolean' ? 'any' : typeName(each))).join(' or ');
  }
  if (node.type === 'array') {
    if (Array.isArray(node.prefixItems)) return `list of ${node.prefixItems.length}`;
    const items = node.items;
    return typeof items === 'object' && !Array.isArray(items) ? `list of ${typeName(items)}` : 'list';
  }
  if (node.type === 'string') return 'text';
  if (node.type === 'integer') return 'number';
  return typeof node.type === 'string' ? node.type : 'any';
}

/**
 * The known key that someone who wrote `unknown` at `parent` most likely meant, as a full path; undefined when none is near.
 * A key of the right name in another group counts as near.
 */
export function nearestKey(paths: readonly string[], parent: string, unknown: string): string | undefined {
  const prefix = parent === '' ? '' : `${parent}.`;
  const siblings = new Set<string>();
  for (const path of paths) {
    if (path.startsWith(prefix)) siblings.add(path.slice(prefix.length).replace(/[.[].*$/, ''));
  }
  // One slip in three characters still looks like a slip.
  const limit = Math.min(3, Math.floor(unknown.length / 3));
  let best: { key: string; distance: number } | undefined;
  for (const key of siblings) {
    const distance = editDistance(unknown.toLowerCase(), key.toLowerCase(), limit);
    if (distance <= limit && distance < (best?.distance ?? Number.POSITIVE_INFINITY))
      best = { key, distance };
  }
  if (best !== undefined) return prefix + best.key;
  const elsewhere = paths.filter((path) => path.split('.').at(-1) === unknown && !path.includes('[]'));
  return elsewhere.length === 1 ? elsewhere[0] : undefined;
}

/**
 * Slips between two words: letters put in, left out, mistaken, or two neighbours swapped (optimal string alignment). A word cut
 * short counts as one slip. Gives up with `limit + 1` for words whose lengths alone differ by more.
 */
function editDistance(a: string, b: string, limit: number): number {
  if (a.length >= 3 && b.startsWith(a)) return 1;
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, index) => index)];
  const cell = (i: number, j: number) => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const mistaken = cell(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? cell(i - 2, j - 2) + 1 : mistaken;
      row.push(Math.min(mistaken, swapped, cell(i - 1, j) + 1, cell(i, j - 1) + 1));
    }
  }
  return cell(a.length, b.length);
}
