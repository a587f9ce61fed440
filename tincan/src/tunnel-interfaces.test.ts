import fc from 'fast-check';
import { expect, test } from 'vitest';
import { defaultInterfaces, type InterfaceFacts, isForeignTunnel } from './tunnel-interfaces.ts';

const route4 = (name: string, destination: string, mask: string, flags = '0003'): string =>
  `${name}\t${destination}\t0101A8C0\t${flags}\t0\t0\t0\t${mask}\t0\t0\t0\n`;
const ZERO = '0'.repeat(32);
const route6 = (name: string, length: string, flags = '00000003'): string =>
  `${ZERO} ${length} ${ZERO} 00 ${ZERO} 00000400 00000001 00000000 ${flags} ${name}\n`;

function facts(routes4: string, routes6 = ''): InterfaceFacts {
  return { isTunnel: (name) => name.startsWith('t'), routes4: () => routes4, routes6: () => routes6 };
}

test("another network's tunnel carries no links; a card does", () => {
  const home = facts(route4('eth0', '00000000', '00000000') + route4('tap9', '0000000A', '000000FF'));
  expect([isForeignTunnel('tap9', home), isForeignTunnel('eth0', home)]).toEqual([true, false]);
});

test('a tunnel that is the way out is a card like any other, by either family', () => {
  expect(isForeignTunnel('tap0', facts(route4('tap0', '00000000', '00000000')))).toBe(false);
  expect(isForeignTunnel('tun0', facts('', route6('tun0', '00')))).toBe(false);
  expect(isForeignTunnel('tun0', facts('', route6('tun0', '40')))).toBe(true);
});

test('routes that are down or lead nowhere are no way out', () => {
  expect(defaultInterfaces(route4('tun0', '00000000', '00000000', '0002'), '')).toEqual(new Set());
  expect(defaultInterfaces('', route6('lo', '00', '00200200'))).toEqual(new Set());
});

test('no text makes it fail', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      expect(() => defaultInterfaces(a, b)).not.toThrow();
    }),
  );
});
