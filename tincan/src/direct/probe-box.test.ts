import { DATAGRAM_PROBE, MIN_PROBE_BYTES, readDatagramHeader } from '@kith/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProbeOpener, ProbeSealer } from './probe-box.ts';
import { ReplayWindow } from './replay-window.ts';

const key = () => ({ key: new Uint8Array(32).fill(1), fixedIv: new Uint8Array(4).fill(2) });
const body = { id: 0xdead_beef, bytes: 1472, ip: '2001:db8::1', port: 5801, isRelayed: true };

function open(opener: ProbeOpener, datagram: Uint8Array) {
  const header = readDatagramHeader(datagram);
  return header === undefined ? 'no header' : opener.open(datagram, header);
}

test('a probe of any size is opened once, and a change of any of its bits is noticed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 9_000 }), fc.nat(), (size, flip) => {
      const sealer = new ProbeSealer(77, key());
      const opener = new ProbeOpener(key());
      const datagram = sealer.seal(DATAGRAM_PROBE, body, size);
      expect(datagram.length).toBe(Math.max(size, MIN_PROBE_BYTES));
      const forged = Uint8Array.from(datagram);
      const at = flip % (datagram.length * 8);
      forged[at >> 3] = (forged[at >> 3] ?? 0) ^ (1 << (at & 7));
      expect(['forged', 'no header']).toContain(open(opener, forged));
      expect(open(opener, datagram)).toEqual(body);
      expect(open(opener, datagram)).toBe('replayed');
    }),
  );
});

test('a wiped key opens nothing', () => {
  const opener = new ProbeOpener(key());
  const datagram = new ProbeSealer(77, key()).seal(DATAGRAM_PROBE, body, 100);
  opener.wipe();
  expect(open(opener, datagram)).toBe('forged');
});

test('the replay window accepts each counter once, like a set that forgets what is too old', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(3_000), fc.nat(200)), { maxLength: 400 }), (counters) => {
      const window = new ReplayWindow();
      const seen = new Set<number>();
      let highest = -1;
      for (const counter of counters) {
        const isOld = counter < highest + 1 - 1_024;
        expect(window.accept(counter)).toBe(!isOld && !seen.has(counter));
        seen.add(counter);
        highest = Math.max(highest, counter);
      }
    }),
  );
});
