import { FRAMES_HEADER_BYTES, forEachFrame, MIN_FRAME_BYTES, writeFramesHeader } from '@kith/protocol';
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { ChannelCarrier } from '../../tincan/dist/channel/channel-carrier.js';
import { CREDIT_WINDOW, type CreditReport } from '../../tincan/dist/channel/credit.js';
import { corpus } from './corpus.ts';
import { nearlyBytes } from './mutate.ts';

let delivered: { offset: number; length: number; of: number }[];
let violations: string[];
let reports: CreditReport[];
let sent: Uint8Array[];
let carrier: ChannelCarrier;

beforeEach(() => {
  delivered = [];
  violations = [];
  reports = [];
  sent = [];
  const channel = {
    framesBuffered: 0,
    sendFrames: (message: Uint8Array) => {
      sent.push(message.slice());
      return true;
    },
  };
  carrier = new ChannelCarrier(channel, {
    chunk: (data, offset, length) => void delivered.push({ offset, length, of: data.length }),
    sendCredit: (report) => void reports.push(report),
    violation: (reason) => void violations.push(reason),
  });
});

function expectWhole(): void {
  for (const { offset, length, of } of delivered) {
    expect(offset).toBeGreaterThanOrEqual(FRAMES_HEADER_BYTES);
    expect(offset + length).toBeLessThanOrEqual(of);
    expect(length).toBeGreaterThanOrEqual(MIN_FRAME_BYTES);
  }
}

test.each(corpus('frames-message'))('$name', ({ data, good }) => {
  carrier.receive(data);
  expect(carrier.malformed + violations.length).toBe(good ? 0 : 1);
  expectWhole();
  if (good) expect(delivered).toHaveLength(forEachFrame(data, () => undefined));
});

const saved = corpus('frames-message').map(({ data }) => data);
const sequence = fc.oneof(fc.nat(2 * CREDIT_WINDOW), fc.constantFrom(0, 2 ** 32, 2 ** 48 - 1));
const message = fc.oneof(
  fc.constantFrom(...saved).chain((bytes) => nearlyBytes(bytes)),
  fc.uint8Array({ maxLength: 200 }),
  // A number that the peer may use, then anything.
  fc.tuple(sequence, fc.uint8Array({ maxLength: 100 })).map(([number, rest]) => {
    const bytes = Uint8Array.from([...new Uint8Array(FRAMES_HEADER_BYTES), ...rest]);
    writeFramesHeader(bytes, number);
    return bytes;
  }),
);
const count = fc.oneof(fc.nat(2 * CREDIT_WINDOW), fc.constantFrom(2 ** 31, Number.MAX_SAFE_INTEGER));
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('receive' as const), message }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('credit' as const), grant: count, seq: count, received: count }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('peerSent' as const), count }) },
);

test('whatever a peer sends on the frames channel and says about credit, nothing throws and its grant stays one window', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      for (const what of steps) {
        const before = { arrived: delivered.length, faults: carrier.malformed + violations.length };
        if (what.do === 'receive') carrier.receive(what.message);
        else if (what.do === 'credit') carrier.credit(what);
        else carrier.peerSent(what.count);
        if (what.do !== 'receive') continue;
        const fault = carrier.malformed + violations.length - before.faults;
        // One fault per message at most, and what is delivered beside it came before it in the message.
        expect(fault).toBeLessThanOrEqual(1);
        if (what.message.length < FRAMES_HEADER_BYTES) expect(fault).toBe(1);
      }
      expectWhole();
      for (const { grant, seq } of reports) expect(grant).toBe(seq + CREDIT_WINDOW);
      expect(carrier.lossPerMille).toBeGreaterThanOrEqual(0);
      expect(carrier.lossPerMille).toBeLessThanOrEqual(1000);
    }),
    { numRuns: 2_000 },
  );
  // 11 s on an idle machine.
}, 120_000);
