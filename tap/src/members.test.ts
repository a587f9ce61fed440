import { Timers } from '@kith/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KIND_IP4, KIND_IP6, KIND_MAC, LINK_ALL, LINK_MEMBER } from './addresses.ts';
import { TAG_BIND, TAG_GIVE_BACK, TAG_NEIGHBOUR, TAG_UNBIND_ADDRESS } from './commands.ts';
import { Counters, MAIN_COUNTERS } from './counters.ts';
import { MAX_MEMBERS } from './directory.ts';
import { MAX_FRAMES_PER_MEMBER } from './held-frames.ts';
import { Members } from './members.ts';
import { advertisement, arpReply, gratuitousArp } from './neighbour-responder.ts';
import {
  BROADCAST,
  ethernet,
  IP_A,
  IP_B,
  IP_SELF,
  IP6_A,
  ip4Packet,
  ip6,
  MAC_A,
  MAC_B,
  MAC_SELF,
  solicitation,
} from './test-frames.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';

const A = { uid: 'a', mac: MAC_A, ip4: IP_A, ip6: IP6_A };
const B = { uid: 'b', mac: MAC_B, ip4: IP_B, ip6: null };
const LINK = 7;
const IP6_SELF = ip6(0xfd00, 1);

let nowMs = 0;
let timers: Timers;
let commands: { tag: number; payload: number[] }[];
let injected: Uint8Array[];
let forwarded: { link: number; first: number | undefined }[];
let wanted: string[];
let counters: Counters<(typeof MAIN_COUNTERS)[number]>;
let members: Members;

beforeEach(() => {
  nowMs = 0;
  timers = new Timers();
  commands = [];
  injected = [];
  forwarded = [];
  wanted = [];
  counters = new Counters(MAIN_COUNTERS);
  members = new Members({
    command: (tag, payload) => commands.push({ tag, payload: [...payload] }),
    inject: (frame) => injected.push(frame),
    own: () => ({ mac: MAC_SELF, ip4: IP_SELF }),
    nowMs: () => nowMs,
    timers,
    counters,
  });
  // The last byte of a test's frame tells which it is.
  members.forwardTo((link, data, offset, length) =>
    forwarded.push({ link, first: data[offset + length - 1] }),
  );
  members.onWanted((uid) => wanted.push(uid));
});

afterEach(() => timers.clearAll());

/** Takes what was injected since the last call. */
function injectedNow(): Uint8Array[] {
  return injected.splice(0);
}

function receive(tag: number, frame: Uint8Array): void {
  const data = Uint8Array.from([...new Uint8Array(3 + VIRTIO_HEADER_BYTES), ...frame, 0, 0]);
  members.receive(tag, data, 3, VIRTIO_HEADER_BYTES + frame.length);
}

function frameTo(mac: Uint8Array, number: number): Uint8Array {
  return ethernet({
    to: mac,
    from: MAC_SELF,
    type: 0x0800,
    payload: Uint8Array.from([...ip4Packet(IP_SELF, IP_A), number]),
  });
}

function whoHas(target: Uint8Array, to = BROADCAST): Uint8Array {
  const payload = [0, 1, 8, 0, 6, 4, 0, 1, ...MAC_SELF, ...IP_SELF, 0, 0, 0, 0, 0, 0, ...target];
  return ethernet({ to, from: MAC_SELF, type: 0x0806, payload: Uint8Array.from(payload) });
}

const claim = { tag: TAG_BIND, payload: [LINK_MEMBER >> 8, LINK_MEMBER & 0xff, KIND_MAC, ...MAC_A] };
const release = { ...claim, tag: TAG_UNBIND_ADDRESS };
/** What LINK gives back when it ends. */
function givenBack(kind: number, address: Uint8Array): unknown {
  return { tag: TAG_GIVE_BACK, payload: [LINK >> 8, LINK & 0xff, kind, ...address] };
}

test("a member's MAC is claimed while it has no link, and given up with the member", () => {
  members.set(A);
  expect(commands).toEqual([claim]);
  members.bound(LINK, KIND_MAC, MAC_A);
  members.set(A);
  expect(commands).toEqual([claim]);
  members.unbinding(LINK);
  const back = givenBack(KIND_MAC, MAC_A);
  expect(commands).toEqual([claim, back]);
  members.remove('a');
  members.remove('a');
  expect(commands).toEqual([claim, back, release]);
});

test('a member of a linked node costs no claim, and neither does taking it away', () => {
  members.bound(LINK, KIND_MAC, MAC_A);
  members.set(A);
  members.remove('a');
  members.unbinding(LINK);
  expect(commands).toEqual([]);
});

test('for a linked node that answers nobody, its questions are answered here until the link goes; other links answer theirs', () => {
  members.set(A);
  members.set(B);
  members.bound(LINK, KIND_MAC, MAC_A);
  members.bound(LINK, KIND_IP4, IP_A);
  members.bound(LINK, KIND_IP6, IP6_A);
  members.flush(LINK, true);
  members.bound(LINK + 1, KIND_MAC, MAC_B);
  members.bound(LINK + 1, KIND_IP4, IP_B);
  injectedNow();
  receive(LINK_ALL, whoHas(IP_A));
  expect(injectedNow()).toEqual([arpReply(MAC_A, IP_A, MAC_SELF, IP_SELF)]);
  expect(forwarded).toEqual([]);
  receive(LINK_ALL, whoHas(IP_B));
  expect(injectedNow()).toEqual([]);
  expect(forwarded).toHaveLength(1);
  // The number is another node's one day.
  members.unbinding(LINK);
  members.bound(LINK, KIND_MAC, MAC_A);
  members.bound(LINK, KIND_IP4, IP_A);
  injectedNow();
  receive(LINK_ALL, whoHas(IP_A));
  expect(injectedNow()).toEqual([]);
  expect(forwarded).toHaveLength(2);
});

test('a kept address is nobody’s but of the link that is bound to it, and kept again when that ends', () => {
  const bind = { tag: TAG_BIND, payload: [LINK_MEMBER >> 8, LINK_MEMBER & 0xff, KIND_IP4, ...IP_A] };
  const unbind = { ...bind, tag: TAG_UNBIND_ADDRESS };
  members.setMode(false, [IP_A]);
  members.setMode(false, [IP_A]);
  expect(commands.splice(0)).toEqual([bind]);
  members.bound(LINK, KIND_MAC, MAC_A);
  members.bound(LINK, KIND_IP4, IP_A);
  members.bound(LINK + 1, KIND_MAC, MAC_B);
  members.unbinding(LINK + 1);
  expect(commands.splice(0)).toEqual([]);
  members.unbinding(LINK);
  expect(commands.splice(0)).toEqual([givenBack(KIND_IP4, IP_A)]);
  members.setMode(false, []);
  expect(commands.splice(0)).toEqual([unbind]);
  // Named while a link has it: it is that link's until it ends.
  members.bound(LINK, KIND_MAC, MAC_A);
  members.bound(LINK, KIND_IP4, IP_A);
  members.setMode(false, [IP_A]);
  expect(commands.splice(0)).toEqual([]);
  members.unbinding(LINK);
  expect(commands).toEqual([givenBack(KIND_IP4, IP_A)]);
});

test('frames for a member without a link wait and leave in order when the link is bound', () => {
  members.set(A);
  for (const number of [1, 2, 3]) receive(LINK_MEMBER, frameTo(MAC_A, number));
  expect(forwarded).toEqual([]);
  expect(counters.get('held_frames')).toBe(3);
  members.bound(LINK, KIND_MAC, MAC_A);
  expect(forwarded).toEqual([]);
  members.flush(LINK);
  // Those that were still on their way here.
  receive(LINK_MEMBER, frameTo(MAC_A, 4));
  expect(forwarded).toEqual([1, 2, 3, 4].map((first) => ({ link: LINK, first })));
  expect(counters.get('held_frames')).toBe(0);
});

test('a full queue, a removed member and time drop what is held, each counted', () => {
  members.set(A);
  members.set(B);
  for (let number = 0; number < MAX_FRAMES_PER_MEMBER + 2; number++)
    receive(LINK_MEMBER, frameTo(MAC_A, number));
  expect(counters.get('dropped_held_full')).toBe(2);
  members.remove('a');
  expect(counters.get('dropped_held_removed')).toBe(MAX_FRAMES_PER_MEMBER);
  receive(LINK_MEMBER, frameTo(MAC_A, 1));
  expect(counters.get('dropped_held_removed')).toBe(MAX_FRAMES_PER_MEMBER + 1);
  expect(forwarded).toEqual([]);
});

test('on demand, a held frame is told once per member and second', () => {
  members.set(A);
  members.set(B);
  receive(LINK_MEMBER, frameTo(MAC_A, 0));
  expect(wanted).toEqual([]);
  members.setMode(true, []);
  for (const [at, mac] of [
    [0, MAC_A],
    [999, MAC_A],
    [999, MAC_B],
    [1000, MAC_A],
    [1500, MAC_A],
  ] as const) {
    nowMs = at;
    receive(LINK_MEMBER, frameTo(mac, 0));
  }
  expect(wanted).toEqual(['a', 'b', 'a']);
});

test('in layer 3 every known address is answered for, with or without a link', () => {
  members.set(A);
  members.bound(LINK, KIND_MAC, MAC_A);
  injectedNow();
  receive(TAG_NEIGHBOUR, whoHas(IP_A));
  receive(TAG_NEIGHBOUR, solicitation(IP6_SELF, IP6_A));
  expect(injected).toEqual([
    arpReply(MAC_A, IP_A, MAC_SELF, IP_SELF),
    advertisement(MAC_A, IP6_A, MAC_SELF, IP6_SELF),
  ]);
  receive(TAG_NEIGHBOUR, whoHas(IP_B));
  expect(counters.get('dropped_unanswered')).toBe(1);
  expect(forwarded).toEqual([]);
});

test('in layer 2 a member without a link is answered for, a linked one answers itself', () => {
  members.set(A);
  injectedNow();
  receive(LINK_ALL, whoHas(IP_A));
  receive(LINK_MEMBER, whoHas(IP_A, MAC_A));
  expect(injected).toHaveLength(2);
  expect(forwarded).toEqual([]);
  members.bound(LINK, KIND_MAC, MAC_A);
  receive(LINK_ALL, whoHas(IP_A));
  receive(LINK_ALL, frameTo(BROADCAST, 1));
  expect(injected).toHaveLength(2);
  expect(forwarded.map(({ link }) => link)).toEqual([LINK_ALL, LINK_ALL]);
  expect(counters.get('neighbour_answers')).toBe(2);
});

test('the kernel is told of the addresses of a link that came up, of none that another link has', () => {
  members.bound(LINK, KIND_MAC, MAC_A);
  members.bound(LINK, KIND_IP4, IP_A);
  members.bound(LINK, KIND_IP6, IP6_A);
  expect(injected).toEqual([
    gratuitousArp(MAC_A, IP_A, MAC_SELF),
    advertisement(MAC_A, IP6_A, MAC_SELF, null),
  ]);
  members.bound(LINK + 1, KIND_MAC, MAC_B);
  members.bound(LINK + 1, KIND_IP4, IP_A);
  expect(injected).toHaveLength(2);
});

// Unasked, and as an answer.
const A_HAS_IP_A = gratuitousArp(MAC_A, IP_A, MAC_SELF);
const B_HAS_IP_A = gratuitousArp(MAC_B, IP_A, MAC_SELF);
const A_ANSWERS = arpReply(MAC_A, IP_A, MAC_SELF, IP_SELF);
const B_ANSWERS = arpReply(MAC_B, IP_A, MAC_SELF, IP_SELF);

test('an address that a link bound goes before what another member is said to have', () => {
  members.bound(LINK, KIND_MAC, MAC_A);
  members.bound(LINK, KIND_IP4, IP_A);
  members.set({ ...B, ip4: IP_A });
  receive(TAG_NEIGHBOUR, whoHas(IP_A));
  members.unbinding(LINK);
  receive(TAG_NEIGHBOUR, whoHas(IP_A));
  expect(injected).toEqual([A_HAS_IP_A, A_ANSWERS, B_ANSWERS]);
});

test("a member's address is told to the kernel once, and again when it is another one's", () => {
  members.set(A);
  members.set(A);
  expect(injectedNow()).toEqual([A_HAS_IP_A, advertisement(MAC_A, IP6_A, MAC_SELF, null)]);
  members.remove('a');
  members.set({ ...B, ip4: IP_A });
  expect(injectedNow()).toEqual([B_HAS_IP_A]);
  members.set({ ...B, ip4: IP_A, mac: MAC_A });
  expect(injectedNow()).toEqual([A_HAS_IP_A]);
});

test('an address that two members were said to have stays with one, and goes to the other with its end', () => {
  members.set(A);
  injectedNow();
  members.set({ ...B, ip4: IP_A });
  members.set(A);
  receive(TAG_NEIGHBOUR, whoHas(IP_A));
  expect(injectedNow()).toEqual([A_ANSWERS]);
  members.remove('a');
  receive(TAG_NEIGHBOUR, whoHas(IP_A));
  expect(injectedNow()).toEqual([B_HAS_IP_A, B_ANSWERS]);
});

test("a member's new addresses take the place of its old ones", () => {
  members.set(A);
  members.set({ ...A, mac: MAC_B, ip4: IP_B });
  expect(commands.map(({ tag }) => tag)).toEqual([TAG_BIND, TAG_UNBIND_ADDRESS, TAG_BIND]);
  injectedNow();
  receive(TAG_NEIGHBOUR, whoHas(IP_A));
  receive(TAG_NEIGHBOUR, whoHas(IP_B));
  expect(injected).toEqual([arpReply(MAC_B, IP_B, MAC_SELF, IP_SELF)]);
});

test('members are bounded, and what cannot be is refused by name', () => {
  for (let index = 0; index < MAX_MEMBERS; index++) {
    members.set({ uid: `${index}`, mac: Uint8Array.of(2, 0, 1, 0, index >> 8, index), ip4: null, ip6: null });
  }
  expect(counters.get('members')).toBe(MAX_MEMBERS);
  expect(() => members.set(A)).toThrow(expect.objectContaining({ code: 'TAP_MEMBERS_FULL' }));
  members.remove('0');
  members.set(A);
  members.remove('1');
  expect(() => members.set({ ...B, mac: MAC_A })).toThrow(
    expect.objectContaining({ code: 'TAP_MEMBER_MAC' }),
  );
  expect(() => members.set({ ...B, mac: BROADCAST })).toThrow(expect.objectContaining({ code: 'TAP_MAC' }));
  expect(() => members.set({ ...B, ip4: IP6_A })).toThrow(expect.objectContaining({ field: 'ip4' }));
  expect(() => members.set({ ...B, ip6: IP_A })).toThrow(expect.objectContaining({ field: 'ip6' }));
});
