import { z } from 'zod';
import { flatConfig } from './flat-schema.ts';
import { describeKeys } from './keys.ts';
import { nativeConfig } from './schema.ts';

/** JSON Schema (draft 2020-12) of the native form, for editors and other programs. */
export function jsonSchema(): z.core.JSONSchema.JSONSchema {
  const schema = z.toJSONSchema(nativeConfig, {
    io: 'input',
    override: ({ jsonSchema: node }) => {
      delete node.computed_default;
    },
  });
  return { ...schema, title: 'Kith network' };
}

/** The table of all keys of the native form, in Markdown. */
export function configReference(): string {
  const rows = describeKeys(nativeConfig).map(({ path, type, defaultText, required, description }) => {
    const fallback = defaultText ?? (required ? '*needed*' : '');
    return row(`\`${path}\``, type, fallback, description);
  });
  return [row('key', 'type', 'default', 'meaning'), row('---', '---', '---', '---'), ...rows].join('\n');
}

/** The table of all keys of the IPOP 15.01 flat form and what becomes of them, in Markdown. */
export function flatReference(): string {
  const rows = Object.entries(flatConfig.shape).map(([key, schema]) => {
    const meta = schema.meta();
    const text = meta?.description ?? '';
    return row(`\`${key}\``, meta?.ignored === undefined ? text : `no meaning here: ${text}`);
  });
  return [row('flat key', 'becomes'), row('---', '---'), ...rows].join('\n');
}

function row(...cells: string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

const EXAMPLE = {
  xmpp: { jid: 'alice@example.org', password_file: 'alice.password', server: 'xmpps://hub.example.org:5223' },
  network: { group: 'net1', ip4: '172.31.0.1/24' },
};

/** docs/CONFIG.md, whole. */
export function configDocument(): string {
  return `# The config of a network

<!-- Written by packages/config/dist/write-reference.js from the schema; do not edit. -->

One JSON file per network. The least that a node needs:

\`\`\`json
${JSON.stringify(EXAMPLE, null, 2)}
\`\`\`

Unknown keys are errors. Paths are relative to the config file. A file that holds a password must be readable by its owner
only (\`chmod 600\`). \`kith config check FILE\` says whether a file is right, and if not, everything that is wrong with it.

## Keys

${configReference()}

## The flat form of IPOP 15.01

A config of IPOP's GroupVPN 15.01 starts a node as it is; \`kith config convert FILE\` prints its native form and says what is
taken otherwise.

${flatReference()}
`;
}

export const REFERENCE_BEGIN = '<!-- config reference: begin -->';
export const REFERENCE_END = '<!-- config reference: end -->';

/** Puts the table of keys between the two marks of a Markdown file; a file without the marks stays as it is. */
export function withReference(markdown: string): string {
  const begin = markdown.indexOf(REFERENCE_BEGIN);
  const end = markdown.indexOf(REFERENCE_END);
  if (begin < 0 || end < begin) return markdown;
  return `${markdown.slice(0, begin + REFERENCE_BEGIN.length)}\n${configReference()}\n${markdown.slice(end)}`;
}
