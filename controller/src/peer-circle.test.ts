import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, monotonicMs } from '@kith/base';
import { encodeSignal, type SecurityTerms, type Uid, uidOfFingerprint } from '@kith/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Admission } from './admission.ts';
import { KnownNodes } from './known-nodes.ts';
import { LinkStories } from './link-stories.ts';
import { LinkTurns } from './link-turns.ts';
import { Membership } from './membership.ts';
import { PeerCircle } from './peer-circle.ts';
import { PeerTable } from './peer-table.ts';
import { StartGate } from './start-gate.ts';
import { Trust } from './trust.ts';

const log = createLogger('test', 'silent');
const mine: SecurityTerms = { mode: 'always', groups: [], without_common_group: 'refuse' };
const fprOf = (index: number): string =>
  Array(32).fill(index.toString(16).toUpperCase().padStart(2, '0')).join(':');
const uidOf = (index: number): Uid => uidOfFingerprint(fprOf(index));
const nameOf = (uid: Uid, attempt = 1): string => `${uid} ${attempt}`;
const jidOf = (index: number): string => `n${index}@vpn.test`;

let directory: string;
let circle: PeerCircle;
let peers: PeerTable;
/** Attempts that were begun, in order. */
let begun: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kith-circle-'));
  vi.useFakeTimers();
  const known = new KnownNodes(join(directory, 'nodes.json'), log);
  const membership = new Membership('me@vpn.test', 'friends');
  for (let index = 1; index <= 60; index++) {
    membership.update({ jid: jidOf(index), subscription: 'both', groups: ['friends'] });
    known.put(uidOf(index), {
      jid: jidOf(index),
      fpr: null,
      verified: false,
      since: '2026-01-02T03:04:05.000Z',
    });
  }
  const trust = new Trust('first-use', known, 'me@vpn.test');
  peers = new PeerTable(mine, false);
  begun = [];
  const gate = new StartGate();
  gate.open();
  circle = new PeerCircle({
    ...{ log, membership, trust, peers, gate, turns: new LinkTurns(), stories: new LinkStories() },
    admission: new Admission(membership, trust),
    runner: {
      network: undefined,
      perform: ({ machine }, actions) => {
        for (const action of actions)
          if (action.do === 'create-link' && !begun.includes(nameOf(machine.uid, action.attempt))) {
            begun.push(nameOf(machine.uid, action.attempt));
          }
      },
    },
    watch: { admits: () => true, hasSpareRoom: () => true },
    addresses: {
      addressing: undefined,
      ...{ forget: () => undefined, heard: () => undefined, refused: () => undefined, sync: () => undefined },
    },
    session: () => ({
      state: { state: 'online', detail: null, retryInMs: null, since: 0 },
      ...{ check: () => undefined, networkChanged: () => undefined },
    }),
    local: () => ({ _uid: 'f'.repeat(40) }),
    ready: () => true,
  });
});

afterEach(async () => {
  circle.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  await rm(directory, { recursive: true });
});

/** There have been links to so many nodes for a while. */
function settleWith(count: number): void {
  for (let index = 1; index <= count; index++) {
    const peer = circle.peer(uidOf(index), jidOf(index));
    if (peer === undefined) throw new Error(`no peer ${index}`);
    peer.present = true;
    peer.machine.adopt(1, true, monotonicMs());
  }
}

function comes(index: number): void {
  circle.presence({ from: `${jidOf(index)}/kith-${uidOf(index)}`, available: true });
}

test('in a small circle the link to a node that comes is begun at once', () => {
  settleWith(12);
  comes(50);
  expect(begun).toEqual([nameOf(uidOf(50))]);
});

test('a node that comes into a crowd is waited for 10 to 20 s, and then linked all the same', () => {
  settleWith(13);
  comes(50);
  vi.advanceTimersByTime(9_900);
  expect(begun).toEqual([]);
  vi.advanceTimersByTime(10_200);
  expect(begun).toEqual([nameOf(uidOf(50))]);
});

test('a link that the node begins itself, as it should, is tried again as any other when it fails', () => {
  settleWith(13);
  comes(50);
  const uid = uidOf(50);
  const respond = vi.fn();
  circle.signal({
    from: `${jidOf(50)}/kith-${uid}`,
    type: 'con_req',
    data: encodeSignal({
      ...{ v: 1, uid, fpr: fprOf(50), attempt: 1, security: mine },
      cas: '0:1:udp:203.0.113.4:5000:1:abcd:0123456789012345678901:local::0:1',
    }),
    respond,
    refuse: (condition) => expect.unreachable(condition),
  });
  expect(respond).toHaveBeenCalledOnce();
  expect(begun).toEqual([nameOf(uid)]);
  circle.performFor(uid, peers.get(uid)?.machine.offline(1, 'ICE or DTLS failed', monotonicMs()) ?? []);
  vi.advanceTimersByTime(5_000);
  expect(begun).toEqual([nameOf(uid), nameOf(uid, 2)]);
});

test('a packet for a node that is waited for gets its link at once, and only one', () => {
  settleWith(13);
  comes(50);
  circle.wanted(uidOf(50));
  expect(begun).toEqual([nameOf(uidOf(50))]);
  vi.advanceTimersByTime(14_000);
  expect(begun).toEqual([nameOf(uidOf(50))]);
});

test('who comes into a crowd itself begins with six at once, and goes on as they are done', () => {
  for (let index = 1; index <= 40; index++) comes(index);
  expect(begun).toHaveLength(6);
  const now = monotonicMs();
  for (const { machine } of peers.values()) machine.online(1, now);
  circle.schedule();
  expect(begun).toHaveLength(12);
});
