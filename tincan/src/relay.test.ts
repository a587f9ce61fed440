import type { ApiPacket, IccType, RelayMessage, Uid } from '@kith/protocol';
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { Relay, type RelayLink } from './relay.ts';

const ME = '11'.repeat(20);
const PEER = '22'.repeat(20);
const ICC = Buffer.from('0069706f7003000000000000000000'.slice(0, 28), 'hex');

let links: Map<Uid, RelayLink>;
let sent: RelayMessage[];
let heard: unknown[];
let hasRoom: boolean;
let relay: Relay;

beforeEach(() => {
  sent = [];
  heard = [];
  hasRoom = true;
  const link = (relays: boolean): RelayLink => ({
    uid: PEER,
    relays,
    relay: (message) => {
      if (hasRoom) sent.push(message);
      return hasRoom;
    },
  });
  links = new Map([
    [PEER, link(true)],
    ['33'.repeat(20), link(false)],
  ]);
  relay = new Relay(ME, (uid) => links.get(uid), {
    message: (...message) => void heard.push(message),
    icc: (type: IccType, packet: ApiPacket) => void heard.push([type, packet]),
  });
});

test.each([
  ['a node without a link', '44'.repeat(20), 'ping', { code: 'NOT_LINKED', field: 'uid' }],
  ['a node that is too old', '33'.repeat(20), 'ping', { code: 'PEER_LACKS_RELAY', field: 'uid' }],
  ['a name that is tincan’s own', PEER, 'con_stat', { code: 'API_FIELD', field: 'm' }],
])('a message to %s is refused', (_, to, name, expected) => {
  expect(() => relay.sendMessage(to, name, '', 0)).toThrow(expect.objectContaining(expected));
  expect(sent).toEqual([]);
});

test('a full control channel and more than 200 messages a second are refused until there is room', () => {
  hasRoom = false;
  expect(() => relay.sendMessage(PEER, 'ping', '', 0)).toThrow(
    expect.objectContaining({ code: 'RELAY_BUSY' }),
  );
  hasRoom = true;
  for (let count = 0; count < 200; count++) relay.sendMessage(PEER, 'ping', '', 2_000);
  expect(() => relay.sendMessage(PEER, 'ping', '', 2_001)).toThrow(
    expect.objectContaining({ code: 'RELAY_BUSY' }),
  );
  relay.sendMessage(PEER, 'ping', '', 3_001);
  expect(sent).toHaveLength(201);
});

test('the source of an ICC datagram is this node or left open', () => {
  const packet = { source: null, destination: PEER, frame: ICC };
  relay.sendIcc(3, packet, 0);
  relay.sendIcc(3, { ...packet, source: ME }, 0);
  expect(sent).toHaveLength(2);
  expect(() => relay.sendIcc(3, { ...packet, source: PEER }, 0)).toThrow(
    expect.objectContaining({ field: 'source' }),
  );
});

test('what comes in carries the UID of its link, whatever it says', () => {
  relay.receive(PEER, { t: 'message', m: 'con_req', data: 'x' }, 0);
  relay.receive(PEER, { t: 'icc', type: 3, frame: ICC.toString('base64') }, 0);
  expect(heard).toEqual([
    [PEER, 'con_req', 'x'],
    [3, { source: PEER, destination: ME, frame: ICC }],
  ]);
});

test('a peer cannot speak as tincan itself, nor send what is no ICC frame; both are counted', () => {
  relay.receive(PEER, { t: 'message', m: 'link_wanted', data: '' }, 0);
  relay.receive(PEER, { t: 'icc', type: 4, frame: ICC.toString('base64') }, 0);
  relay.receive(PEER, { t: 'icc', type: 3, frame: '' }, 0);
  expect(heard).toEqual([]);
  expect(relay.counters.dropped_relay_malformed).toBe(3);
});

test('of a flood 200 messages a second come through, from each peer', () => {
  fc.assert(
    fc.property(fc.integer({ min: 201, max: 1_000 }), (count) => {
      heard = [];
      const before = relay.counters.dropped_relay_limited;
      relay.forget(PEER);
      for (let made = 0; made < count; made++) relay.receive(PEER, { t: 'message', m: 'x', data: '' }, 5);
      expect(heard).toHaveLength(200);
      expect(relay.counters.dropped_relay_limited - before).toBe(count - 200);
    }),
    { numRuns: 10 },
  );
});
