import { type NetworkView, UDP_CLASSES } from '@kith/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type PathFacts, whyPath } from './why-path.ts';

const network = (ip4: NetworkView['ip4'], ip6: NetworkView['ip6'] = 'none'): NetworkView => ({
  v: 1,
  ip4,
  ip6,
});
const turn4 = { type: 'turn', host: '203.0.113.1', port: 3478 } as const;
const turn6 = { ...turn4, host: '2001:db8::1' } as const;
const tls = { ...turn4, host: 'hub.example.org', transport: 'tls' } as const;

const relayed: PathFacts = {
  peer: 'bob',
  state: 'online',
  carrier: 'direct',
  relayed: true,
  ageMs: 60_000,
  mine: network('same'),
  theirs: network('same'),
  hubOnline: true,
  answered: true,
  failure: null,
  servers: [turn4],
};
const connecting: PathFacts = {
  ...relayed,
  state: 'connecting',
  carrier: null,
  relayed: false,
  ageMs: 12_000,
};

test.each<[string, PathFacts, string | null]>([
  ['direct', { ...relayed, relayed: false }, null],
  ['refused', { ...relayed, state: 'refused' }, null],
  [
    'two symmetric NATs',
    { ...relayed, mine: network('per-destination'), theirs: network('per-destination') },
    'relayed: both NATs map ports per destination',
  ],
  [
    'one symmetric NAT, ours',
    { ...relayed, mine: network('per-destination') },
    'relayed: the NAT here maps ports per destination, and the other seems to let in only what it has sent to',
  ],
  [
    'one symmetric NAT, theirs',
    { ...relayed, theirs: network('per-destination') },
    'relayed: the NAT of bob maps ports per destination, and the other seems to let in only what it has sent to',
  ],
  [
    'nothing known stands between',
    relayed,
    'relayed: UDP between the two is blocked; both reach others by it',
  ],
  [
    'IPv6 would do',
    { ...relayed, mine: network('per-destination', 'open'), theirs: network('per-destination', 'open') },
    'relayed: UDP between the two is blocked; both reach others by it',
  ],
  ['just online', { ...relayed, ageMs: 1_000 }, 'relayed: a direct path is still looked for'],
  [
    'a symmetric NAT, just online',
    { ...relayed, mine: network('per-destination'), ageMs: 1_000 },
    'relayed: a direct path is still looked for',
  ],
  ['no UDP here', { ...relayed, mine: network('silent') }, 'relayed: this node has no UDP'],
  ['no UDP there', { ...relayed, theirs: network('silent', 'silent') }, 'relayed: bob has no UDP'],
  [
    'one family each',
    { ...relayed, mine: network('same', 'none'), theirs: network('silent', 'open') },
    'relayed: this node has UDP by IPv4 only, and bob by IPv6 only',
  ],
  [
    'a data channel without a relay',
    { ...relayed, relayed: false, carrier: 'channel', theirs: null },
    'data channel only: no direct path has answered, and bob says nothing of its network',
  ],
  [
    'nobody knows',
    { ...relayed, mine: network('unknown') },
    'relayed: no direct path has answered; too few STUN servers answer to tell how the NATs map ports',
  ],
  [
    'asleep',
    { ...connecting, answered: false },
    "not connected: no answer to con_req for 12 s (is bob's machine asleep?)",
  ],
  [
    'no hub',
    { ...connecting, hubOnline: false },
    'not connected: the hub is not reached, and without it no new link can be made',
  ],
  [
    'no UDP and no TURN by TCP',
    { ...connecting, mine: network('silent') },
    'not connected: this node has no UDP, and no TURN server over TCP is known',
  ],
  [
    'no UDP there and no TURN by TCP',
    { ...connecting, theirs: network('silent') },
    'not connected: bob has no UDP, and the hub names no TURN server over TCP',
  ],
  [
    'a relay of one family',
    { ...connecting, theirs: network('none', 'open') },
    'not connected: bob has IPv6 only, and the hub offers no relay with both',
  ],
  [
    'a relay of both families',
    { ...connecting, theirs: network('none', 'open'), servers: [turn4, turn6] },
    'not connected: bob answered, but for 12 s no path between the two has',
  ],
  [
    'no relay at all',
    { ...connecting, mine: network('per-destination'), theirs: network('per-destination'), servers: [] },
    'not connected: both NATs map ports per destination, and no relay (TURN server) is known',
  ],
  [
    'a failure',
    { ...connecting, servers: [tls], failure: 'ICE or DTLS failed' },
    'not connected: ICE or DTLS failed',
  ],
  [
    'a beginning',
    { ...connecting, answered: false, ageMs: 10 },
    'not connected: the first attempt is under way',
  ],
  [
    'nobody there',
    { ...connecting, state: 'offline' },
    'not connected: bob has no node signed in at the hub',
  ],
  [
    'on demand',
    { ...connecting, state: 'idle' },
    'not connected: no packet has asked for it; links of this network are made on demand',
  ],
])('%s', (_, facts, why) => {
  expect(whyPath(facts)).toBe(why);
});

const anyNetwork = fc.record({
  v: fc.constant(1 as const),
  ip4: fc.constantFrom(...UDP_CLASSES),
  ip6: fc.constantFrom(...UDP_CLASSES),
});

test('whatever is known, a link that is not direct has its words', () => {
  fc.assert(
    fc.property(
      fc.option(anyNetwork),
      fc.option(anyNetwork),
      fc.boolean(),
      fc.boolean(),
      fc.constantFrom('online', 'connecting', 'idle', 'offline'),
      fc.subarray([turn4, turn6, tls]),
      (mine, theirs, answered, hubOnline, state, servers) => {
        const facts = { ...relayed, mine, theirs, answered, hubOnline, state, servers };
        expect(whyPath(facts)).toMatch(/^(relayed|not connected): \S/);
      },
    ),
  );
});
