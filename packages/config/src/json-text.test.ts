import { ConfigError } from '@kith/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJson } from './json-text.ts';

function fault(text: string): string {
  try {
    parseJson(text, 'a.json');
  } catch (error) {
    if (error instanceof ConfigError && error.code === 'CONFIG_SYNTAX') return error.message;
    throw error;
  }
  throw new Error('was accepted');
}

test.each([
  ['', 'a.json:1:1: not valid JSON: the file ends too early: expected a value'],
  ['{\n  "a": 1,\n}', 'a.json:3:1: not valid JSON: no comma may stand before }'],
  ['{\n  "a": 1\n  "b": 2\n}', 'a.json:3:3: not valid JSON: expected , or }'],
  ['{"a": 1', 'a.json:1:8: not valid JSON: the file ends too early: expected , or }'],
  ['{\n  // name\n}', 'a.json:2:3: not valid JSON: expected a key in double quotes'],
  ['{"a": // one\n 1}', 'a.json:1:7: not valid JSON: JSON has no comments'],
  ['[1,]', 'a.json:1:4: not valid JSON: no comma may stand before ]'],
  ["{'a': 1}", 'a.json:1:2: not valid JSON: expected a key in double quotes'],
  ['{"a": "\\x"}', 'a.json:1:8: not valid JSON: unknown escape in text'],
  ['{} {}', 'a.json:1:4: not valid JSON: nothing more may follow the closing brace'],
  ['{"a": 1,\n "\\u0061": 2}', 'a.json:2:2: not valid JSON: the key "a" stands here a second time'],
  ['['.repeat(100), 'a.json:1:34: not valid JSON: nested deeper than 32 levels'],
])('says where JSON text is wrong: %j', (text, message) => {
  expect(fault(text)).toBe(message);
});

test('never repeats the text around a fault, where a password may stand', () => {
  expect(fault('{"xmpp_password": hunter2}')).not.toContain('hunter2');
});

test('reads past a byte order mark', () => {
  expect(parseJson('\ufeff{"a":1}', 'a.json')).toEqual({ a: 1 });
});

test('reads every JSON document as JSON.parse does', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => {
      expect(parseJson(text, 'a.json')).toEqual(JSON.parse(text));
    }),
  );
});

test('takes and refuses damaged JSON exactly where JSON.parse does', () => {
  const damaged = fc
    .tuple(
      fc.json({ maxDepth: 3 }),
      fc.nat(),
      fc.constantFrom('', '"', '{', ']', ',', ':', '0', '-', '\\', '\n', 'e', 'true'),
    )
    .map(([text, position, piece]) => {
      const at = position % (text.length + 1);
      return text.slice(0, at) + piece + text.slice(at + 1);
    });
  fc.assert(
    fc.property(damaged, (text) => {
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      if (valid) {
        // Of valid texts, only those with a key twice are refused.
        try {
          parseJson(text, 'a.json');
        } catch (error) {
          expect(String(error)).toContain('a second time');
        }
      } else fault(text);
    }),
    { numRuns: 500 },
  );
});
