/** An element without elements in it. */
export interface Leaf {
  /** Without its namespace's prefix. */
  name: string;
  text: string;
  /** Number of the element that it is in, in the order of their beginnings; 0: the document. */
  within: number;
}

/** No part of it can match in two ways at one place, so that the time is linear in the text. */
const TAG = /<(\/?)(?:[\w.-]+:)?([\w.-]+)(?:\s[^<>]*)?\/?>/g;

/** Far more than any router's documents have; what is beyond is not read. */
const MAX_TAGS = 8_192;
const MAX_DEPTH = 32;

const ENTITIES: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&apos;': "'",
};

/**
 * The leaves of a UPnP document in order. Routers write XML that parsers refuse, so what cannot be understood is left out; entities
 * other than XML's own five are not expanded, whatever a document declares. Pure.
 */
export function xmlLeaves(xml: string): Leaf[] {
  const leaves: Leaf[] = [];
  const open: { name: string; number: number; start: number; isLeaf: boolean }[] = [];
  let tags = 0;
  let elements = 0;
  for (const match of xml.matchAll(TAG)) {
    if (++tags > MAX_TAGS) break;
    const [tag, slash, name = ''] = match;
    if (slash === '') {
      const parent = open.at(-1);
      if (parent !== undefined) parent.isLeaf = false;
      elements++;
      if (tag.endsWith('/>')) continue;
      if (open.length === MAX_DEPTH) break;
      open.push({ name, number: elements, start: match.index + tag.length, isLeaf: true });
      continue;
    }
    const element = open.pop();
    if (element === undefined || element.name !== name) break;
    if (!element.isLeaf) continue;
    const text = xml.slice(element.start, match.index).trim();
    leaves.push({ name, text: unescaped(text), within: open.at(-1)?.number ?? 0 });
  }
  return leaves;
}

function unescaped(text: string): string {
  return text.replace(/&(?:amp|lt|gt|quot|apos);/g, (entity) => ENTITIES[entity] ?? entity);
}
