import fc from 'fast-check';
import { expect, test } from 'vitest';
import { xmlLeaves } from './xml-leaves.ts';

test('leaves come in order, without prefixes, and say which element they are in', () => {
  const xml = '<?xml version="1.0"?><r><s:a x="1"><b> 1 </b><c/></s:a><a><b>2</b></a></r>';
  expect(xmlLeaves(xml)).toEqual([
    { name: 'b', text: '1', within: 2 },
    { name: 'b', text: '2', within: 5 },
  ]);
});

test("XML's own entities are expanded, and only once; others stay", () => {
  const [leaf] = xmlLeaves('<!DOCTYPE r [<!ENTITY big "big">]><a>x&amp;lt;y&big;</a>');
  expect(leaf?.text).toBe('x&lt;y&big;');
});

test('what does not fit together ends the reading, and nothing before it is lost', () => {
  expect(xmlLeaves('<r><a>1</a></x><b>2</b>').map(({ name }) => name)).toEqual(['a']);
});

test('every tree of leaves is read back', () => {
  const word = fc.stringMatching(/^[a-zA-Z][\w.-]{0,9}$/);
  const text = fc.stringMatching(/^[a-z0-9:/?]{0,20}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(word, text), { maxLength: 30 }), (fields) => {
      const xml = `<root>${fields.map(([name, value]) => `<${name}>${value}</${name}>`).join('\n')}</root>`;
      const read = xmlLeaves(xml).filter(({ within }) => within === 1);
      expect(read.map((leaf) => [leaf.name, leaf.text])).toEqual(fields);
    }),
  );
});

test('no text makes it fail, and the worst of 64 KiB is read quickly', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[<>/a:& ="-]{0,200}$/)), (text) => {
      expect(() => xmlLeaves(text)).not.toThrow();
    }),
  );
  for (const piece of ['<a ', '<', '<a>', '</', 'a', '<a.b:', '&amp', '<a b="']) {
    const before = performance.now();
    xmlLeaves(piece.repeat(65_536 / piece.length));
    // A square would take minutes.
    expect(performance.now() - before).toBeLessThan(2_000);
  }
});
