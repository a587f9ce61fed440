import { createLogger, SystemError } from '@kith/base';
import { expect, test } from 'vitest';
import { InsideRoutes, type RouteFacts } from './inside-routes.ts';

const CARD = 7;

function routes(facts: Partial<RouteFacts> = {}): InsideRoutes {
  const log = createLogger('test', 'silent');
  return new InsideRoutes('kith-x', log, {
    routeTo: (ip) => (ip.startsWith('10.') ? CARD : 2),
    indexOf: () => CARD,
    ...facts,
  });
}

test('an address that a route leads to by the card is inside, and counted; others are not', () => {
  const inside = routes();
  expect([inside.lead('10.1.2.3'), inside.lead('192.0.2.1'), inside.lead('2001:db8::1')]).toEqual([
    true,
    false,
    false,
  ]);
  expect(inside.counters.addresses_routed_inside).toBe(1);
});

test('the machine is asked once for each address, until its routes may have changed', () => {
  let asked = 0;
  let card = 2;
  const inside = routes({
    routeTo: () => {
      asked++;
      return card;
    },
  });
  for (let count = 0; count < 5; count++) expect(inside.lead('192.0.2.1')).toBe(false);
  expect(asked).toBe(1);
  card = CARD;
  inside.forget();
  for (let count = 0; count < 5; count++) expect(inside.lead('192.0.2.1')).toBe(true);
  expect(asked).toBe(2);
  expect(inside.counters.addresses_routed_inside).toBe(5);
  // Whoever names addresses without end fills no memory.
  for (let count = 0; count < 5_000; count++) inside.lead(`192.0.${count >> 8}.${count & 255}`);
  inside.lead('192.0.2.1');
  expect(asked).toBeGreaterThan(5_000);
});

test('an address without a route is not inside, nor is any while there is no card', () => {
  expect(routes({ routeTo: () => null }).lead('10.1.2.3')).toBe(false);
  const gone = (): number => {
    throw new SystemError('SYSTEM_CALL', 'ENODEV');
  };
  const inside = routes({ indexOf: gone });
  expect(inside.lead('10.1.2.3')).toBe(false);
  expect(inside.counters.addresses_routed_inside).toBe(0);
});

test('where the machine tells no routes, links go on', () => {
  const silent = (): number => {
    throw new SystemError('SYSTEM_CALL', 'EPERM');
  };
  expect(routes({ routeTo: silent }).lead('10.1.2.3')).toBe(false);
});

test('another fault is not hidden', () => {
  const broken = (): number => {
    throw new TypeError('bug');
  };
  expect(() => routes({ routeTo: broken }).lead('10.1.2.3')).toThrow(TypeError);
});

test("this machine's own addresses lead to loopback", () => {
  expect(new InsideRoutes('lo', createLogger('test', 'silent')).lead('127.0.0.1')).toBe(true);
  expect(new InsideRoutes('kith-none', createLogger('test', 'silent')).lead('127.0.0.1')).toBe(false);
});
