import fc from 'fast-check';
import { expect, test } from 'vitest';
import { interfaceIndex } from './net-device.ts';
import { readRouteInterface, routeInterface } from './route-lookup.ts';

/** rtnetlink's answer with these attributes: type and value. */
function answer(type: number, attributes: readonly (readonly [number, Uint8Array])[]): Uint8Array {
  const parts = attributes.flatMap(([kind, value]) => {
    const header = new Uint8Array(Uint16Array.of(4 + value.length, kind).buffer);
    return [header, value, new Uint8Array((4 - (value.length % 4)) % 4)];
  });
  const body = Buffer.concat([new Uint8Array(12), ...parts]);
  const header = new Uint8Array(16);
  new Uint32Array(header.buffer)[0] = 16 + body.length;
  new Uint16Array(header.buffer)[2] = type;
  return Buffer.concat([header, body]);
}

const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

test('what is for this machine itself leaves by loopback', () => {
  expect(routeInterface(Uint8Array.of(127, 0, 0, 1))).toBe(interfaceIndex('lo'));
});

test('the interface is found among other attributes, of whatever length', () => {
  const other = fc.tuple(fc.integer({ min: 5, max: 30 }), fc.uint8Array({ maxLength: 40 }));
  fc.assert(
    fc.property(
      fc.array(other, { maxLength: 6 }),
      fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      (others, index) => {
        expect(readRouteInterface(answer(24, [...others, [4, word(index)]]))).toBe(index);
        expect(readRouteInterface(answer(24, others))).toBeNull();
      },
    ),
  );
});

test('an error, such as that there is no way, names no interface', () => {
  expect(readRouteInterface(answer(2, [[4, word(3)]]))).toBeNull();
});

test('no bytes make the reader fail or go on for ever', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const found = readRouteInterface(bytes);
      expect(found === null || Number.isInteger(found)).toBe(true);
      const cut = answer(24, [[9, bytes]]);
      expect(readRouteInterface(cut.subarray(0, bytes.length))).toBeNull();
    }),
  );
});

test('an address of another length is a fault of the caller', () => {
  expect(() => routeInterface(Uint8Array.of(1, 2, 3))).toThrow(RangeError);
});
