import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { describeKeys } from './keys.ts';
import { configDocument, jsonSchema, withReference } from './reference.ts';
import { nativeConfig } from './schema.ts';

const root = new URL('../../../', import.meta.url);
const MEND = 'write it anew: node packages/config/dist/write-reference.js';

test('docs/CONFIG.md says what the schema says', () => {
  expect(readFileSync(new URL('docs/CONFIG.md', root), 'utf8'), MEND).toBe(configDocument());
});

test("README.md's config reference says what the schema says", () => {
  const readme = new URL('README.md', root);
  const text = existsSync(readme) ? readFileSync(readme, 'utf8') : '';
  expect(text, MEND).toBe(withReference(text));
});

test('every key has a description, and either a default, a need or a choice', () => {
  const keys = describeKeys(nativeConfig);
  expect(keys.length).toBeGreaterThan(25);
  expect(keys.filter((key) => key.description === '').map((key) => key.path)).toEqual([]);
});

test('the table goes between the marks, and only there', () => {
  const marked = 'a\n<!-- config reference: begin -->\nstale text\n<!-- config reference: end -->\nb\n';
  const written = withReference(marked);
  expect(written).toContain('| `network.mtu` | number | `1360` |');
  expect(written).not.toContain('stale text');
  expect(withReference(written)).toBe(written);
  expect(withReference('no marks')).toBe('no marks');
});

test('the JSON Schema knows the needed keys and no others', () => {
  const schema = jsonSchema();
  expect(schema).toMatchObject({ required: ['xmpp', 'network'], additionalProperties: false });
  expect(JSON.stringify(schema)).not.toContain('computed_default');
});
