import { PeerError } from '@kith/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Candidate,
  formatCandidate,
  fromSdpCandidate,
  MAX_CANDIDATES,
  parseCandidate,
  parseCandidates,
  toSdpCandidate,
} from './index.ts';

const iceChars = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/';
const iceText = (min: number, max: number) =>
  fc.string({ unit: fc.constantFrom(...iceChars), minLength: min, maxLength: max });
const candidates: fc.Arbitrary<Candidate> = fc.record({
  component: fc.constant(1),
  protocol: fc.constant('udp' as const),
  ip: fc.oneof(fc.ipV4(), fc.ipV6()),
  port: fc.integer({ min: 1, max: 65_535 }),
  priority: fc.integer({ min: 0, max: 0xffff_ffff }),
  ufrag: iceText(4, 8),
  pwd: iceText(22, 32),
  type: fc.constantFrom('local' as const, 'stun' as const, 'relay' as const),
  foundation: iceText(1, 8),
});

test("a candidate survives IPOP's form", () => {
  fc.assert(
    fc.property(candidates, (candidate) => {
      expect(parseCandidate(formatCandidate(candidate))).toEqual(candidate);
    }),
  );
});

test('a candidate survives the SDP form', () => {
  fc.assert(
    fc.property(candidates, (candidate) => {
      expect(fromSdpCandidate(toSdpCandidate(candidate), candidate.ufrag, candidate.pwd)).toEqual(candidate);
    }),
  );
});

test("the paper's example of a candidate is read", () => {
  expect(parseCandidate('1:1:udp:192.168.1.2:40001:2122194687:ufrag:pwd:local:eth0:0:1')).toMatchObject({
    ip: '192.168.1.2',
    port: 40_001,
    type: 'local',
  });
});

test('any text is either read or refused with CANDIDATE_INVALID', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(fc.string({ maxLength: 12 })).map((parts) => parts.join(':')),
      ),
      (text) => {
        try {
          parseCandidates(text);
        } catch (error) {
          expect(error).toBeInstanceOf(PeerError);
          expect(error).toMatchObject({ code: 'CANDIDATE_INVALID', field: 'cas' });
        }
      },
    ),
  );
});

test('one list has one set of credentials and a bounded length', () => {
  const one = '0:1:udp:10.0.0.1:5000:1:abcd:0123456789012345678901:local::0:1';
  expect(() => parseCandidates(`${one} ${one.replace('abcd', 'efgh')}`)).toThrow(/same in one list/);
  expect(() =>
    parseCandidates(
      Array(MAX_CANDIDATES + 1)
        .fill(one)
        .join(' '),
    ),
  ).toThrow(/more than 32/);
});

test('addresses that only look like one are refused', () => {
  for (const ip of ['0x7f.1', '2130706433', '[fe80::1%eth0]', '[]', 'example.org']) {
    expect(() => parseCandidate(`0:1:udp:${ip}:5000:1:abcd:0123456789012345678901:local::0:1`), ip).toThrow(
      PeerError,
    );
  }
});
