import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KIND_IP4, KIND_IP6 } from './addresses.ts';
import { foldSum, sumWords } from './checksum.ts';
import { inspectFrame, newFrameClaims } from './frame.ts';
import {
  advertisement,
  answerNeighbour,
  arpReply,
  gratuitousArp,
  neighbourKind,
} from './neighbour-responder.ts';
import {
  BROADCAST,
  ethernet,
  IP_A,
  IP_B,
  IP_SELF,
  IP6_A,
  IP6_B,
  ip4Packet,
  ip6,
  MAC_A,
  MAC_SELF,
  solicitation,
} from './test-frames.ts';

const ARP = 0x0806;
const IPV6 = 0x86dd;
const IP6_SELF = ip6(0xfd00, 1);
const UNSPECIFIED = new Uint8Array(16);

/** Knows A's addresses. */
function macOf(kind: number, data: Uint8Array, at: number): Uint8Array | undefined {
  const known = kind === KIND_IP4 ? IP_A : IP6_A;
  return known.every((byte, index) => data[at + index] === byte) ? MAC_A : undefined;
}

/** Asks with the frame in the middle of other bytes. */
function answer(frame: Uint8Array): Uint8Array | null {
  const data = new Uint8Array(frame.length + 60).fill(0x45);
  data.set(frame, 30);
  return answerNeighbour(data, 30, frame.length, macOf);
}

function request(target: Uint8Array, sender = IP_SELF, operation = 1): Uint8Array {
  const payload = [0, 1, 8, 0, 6, 4, 0, operation, ...MAC_SELF, ...sender, 0, 0, 0, 0, 0, 0, ...target];
  return ethernet({ to: BROADCAST, from: MAC_SELF, type: ARP, payload: Uint8Array.from(payload) });
}

test('an ARP request for a known address is answered as its owner would', () => {
  expect(answer(request(IP_A))).toEqual(
    ethernet({
      to: MAC_SELF,
      from: MAC_A,
      type: ARP,
      payload: Uint8Array.from([0, 1, 8, 0, 6, 4, 0, 2, ...MAC_A, ...IP_A, ...MAC_SELF, ...IP_SELF]),
    }),
  );
  expect(arpReply(MAC_A, IP_A, MAC_SELF, IP_SELF)).toEqual(answer(request(IP_A)));
});

test('gratuitous ARP names the owner as its target too, and goes to one station alone', () => {
  expect(gratuitousArp(MAC_A, IP_A, MAC_SELF)).toEqual(
    ethernet({
      to: MAC_SELF,
      from: MAC_A,
      type: ARP,
      payload: Uint8Array.from([0, 1, 8, 0, 6, 4, 0, 2, ...MAC_A, ...IP_A, ...MAC_A, ...IP_A]),
    }),
  );
});

test('other ARP is not answered: unknown target, own address announced, reply, forged sender, cut short', () => {
  expect(answer(request(IP_B))).toBeNull();
  expect(answer(request(IP_A, IP_A))).toBeNull();
  expect(answer(request(IP_A, IP_SELF, 2))).toBeNull();
  const forged = request(IP_A);
  forged[14 + 8 + 5] = 99;
  expect(answer(forged)).toBeNull();
  for (let length = 0; length < 42; length++) expect(answer(request(IP_A).subarray(0, length))).toBeNull();
  expect(answer(request(IP_A).map((byte, index) => (index === 15 ? 6 : byte)))).toBeNull();
});

test('a neighbour solicitation is answered as its target would', () => {
  const frame = solicitation(IP6_SELF, IP6_A);
  const reply = answer(frame) ?? new Uint8Array();
  expect(reply).toEqual(advertisement(MAC_A, IP6_A, MAC_SELF, IP6_SELF));
  const claims = newFrameClaims();
  expect(inspectFrame(reply, 0, reply.length, claims)).toBe(true);
  expect(reply.subarray(claims.ipAt, claims.ipAt + 16)).toEqual(IP6_A);
  expect(reply.subarray(claims.advertisedAt, claims.advertisedAt + 16)).toEqual(IP6_A);
  // Source and destination, length, next header; then the message: it sums to ones.
  expect(foldSum(sumWords(reply, 22, 32) + 32 + 58 + sumWords(reply, 54, 32))).toBe(0xffff);
  // Solicited and override, and the target's MAC in an option.
  expect(reply[58]).toBe(0x60);
  expect([...reply.subarray(78)]).toEqual([2, 1, ...MAC_A]);
});

test('duplicate address detection of a known address is answered to all nodes', () => {
  const reply = answer(solicitation(UNSPECIFIED, IP6_A)) ?? new Uint8Array();
  expect(reply).toEqual(advertisement(MAC_A, IP6_A, Uint8Array.of(0x33, 0x33, 0, 0, 0, 1), null));
  expect(reply[58]).toBe(0x20);
});

function spoilt(at: number, value: number): Uint8Array {
  const frame = solicitation(IP6_SELF, IP6_A);
  frame[at] = value;
  // The checksum is made right again, so that it is the spoilt field that matters.
  frame[56] = 0;
  frame[57] = 0;
  const length = ((frame[18] ?? 0) << 8) | (frame[19] ?? 0);
  const sum =
    sumWords(frame, 22, 32) + length + 58 + sumWords(frame, 54, Math.min(length, frame.length - 54));
  const field = ~foldSum(sum) & 0xffff;
  frame.set([field >> 8, field & 0xff], 56);
  return frame;
}

test('other solicitations are not answered', () => {
  expect(answer(solicitation(IP6_SELF, IP6_B))).toBeNull();
  expect(answer(solicitation(IP6_A, IP6_A))).toBeNull();
  expect(answer(spoilt(21, 64))).toBeNull();
  expect(answer(spoilt(55, 1))).toBeNull();
  expect(answer(spoilt(79, 0))).toBeNull();
  expect(answer(spoilt(79, 9))).toBeNull();
  expect(answer(spoilt(14, 0x40))).toBeNull();
  expect(answer(spoilt(79, 1))).not.toBeNull();
  const bad = solicitation(IP6_SELF, IP6_A);
  bad[57] = (bad[57] ?? 0) ^ 1;
  expect(answer(bad)).toBeNull();
  for (let length = 0; length < bad.length; length++) {
    expect(answer(solicitation(IP6_SELF, IP6_A).subarray(0, length))).toBeNull();
  }
});

test('detection from no address must go to the solicited-node group and name no source', () => {
  expect(answer(solicitation(UNSPECIFIED, IP6_A, { to: IP6_B }))).toBeNull();
  expect(answer(solicitation(UNSPECIFIED, IP6_A, { option: 1 }))).toBeNull();
});

test('what is neither ARP nor a solicitation is none', () => {
  const udp = ethernet({ type: 0x0800, payload: ip4Packet(IP_A) });
  expect(neighbourKind(udp, 0, udp.length)).toBe(0);
  const ns = solicitation(IP6_SELF, IP6_A);
  expect(neighbourKind(ns, 0, ns.length)).toBe(KIND_IP6);
  expect(neighbourKind(request(IP_A), 0, 42)).toBe(KIND_IP4);
  expect(answer(ethernet({ type: IPV6, payload: ns.subarray(14), tags: [0x8100] }))).toBeNull();
});

test('whatever is asked, an answer is a sound frame to the asker from the MAC that was named', () => {
  const good = [request(IP_A), solicitation(IP6_SELF, IP6_A), solicitation(UNSPECIFIED, IP6_A)];
  const claims = newFrameClaims();
  fc.assert(
    fc.property(
      fc.constantFrom(...good),
      fc.array(fc.tuple(fc.nat(100), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
      fc.nat(100),
      (frame, spoils, cut) => {
        const bytes = frame.slice(0, frame.length - (cut < 50 ? 0 : cut - 50));
        for (const [at, value] of spoils) if (at < bytes.length) bytes[at] = value;
        const reply = answer(bytes);
        if (reply === null) return;
        expect(inspectFrame(reply, 0, reply.length, claims)).toBe(true);
        expect(reply.subarray(6, 12)).toEqual(MAC_A);
        const isToAll = reply[0] === 0x33;
        if (!isToAll) expect(reply.subarray(0, 6)).toEqual(bytes.subarray(6, 12));
      },
    ),
    { numRuns: 3_000 },
  );
});
