import { expect, test } from 'vitest';
import { NetworkExchange } from './network-exchange.ts';

const mine = { v: 1, ip4: 'nat', ip6: 'none' } as const;

test('what is known is told once, and again when it changes', () => {
  const exchange = new NetworkExchange();
  expect(exchange.news(undefined)).toBeUndefined();
  expect(exchange.news(mine)).toEqual({ t: 'network', ...mine });
  expect(exchange.news({ ...mine })).toBeUndefined();
  expect(exchange.news({ ...mine, ip4: 'same' })).toEqual({ t: 'network', v: 1, ip4: 'same', ip6: 'none' });
});

test('what the peer said last is kept', () => {
  const exchange = new NetworkExchange();
  expect(exchange.theirs).toBeNull();
  exchange.receive({ t: 'network', ...mine });
  expect(exchange.theirs).toEqual(mine);
});
