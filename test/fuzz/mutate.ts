import fc from 'fast-check';

/** Values that parsers of JSON stumble over. */
const awkward = fc.constantFrom<unknown>(
  ...[null, true, 0, -1, 1.5, 2 ** 31, 2 ** 53, Number.MAX_VALUE, '', ' ', '\0', '__proto__', [], {}, [[]]],
  'x'.repeat(40_000),
);

/** JSON text near a valid document: one of its fields missing, doubled by another, or holding something awkward. */
export function nearlyValid(document: Record<string, unknown>): fc.Arbitrary<string> {
  const keys = Object.keys(document);
  return fc
    .tuple(fc.constantFrom(...keys), fc.oneof(awkward, fc.jsonValue(), fc.constant(undefined)))
    .map(([key, value]) => JSON.stringify({ ...document, [key]: value }));
}

/** Bytes near a valid input: some bytes changed, then cut or made longer. */
export function nearlyBytes(input: Uint8Array): fc.Arbitrary<Uint8Array> {
  const change = fc.tuple(fc.nat(Math.max(0, input.length - 1)), fc.integer({ min: 0, max: 255 }));
  return fc
    .record({
      changes: fc.array(change, { maxLength: 6 }),
      length: fc.oneof(fc.constant(input.length), fc.nat(input.length)),
      tail: fc.uint8Array({ maxLength: 8 }),
    })
    .map(({ changes, length, tail }) => {
      const bytes = Uint8Array.from(input);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return Uint8Array.from([...bytes.subarray(0, length), ...tail]);
    });
}
