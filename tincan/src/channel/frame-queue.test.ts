import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameQueue } from './frame-queue.ts';

function records(bytes: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    frames.push(bytes.slice(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return frames;
}

test('what goes in comes out whole and in order, whatever the mix of pushes and takes; what found no room is counted', () => {
  const operation = fc.oneof(
    fc.uint8Array({ minLength: 14, maxLength: 300 }).map((frame) => ({ push: frame })),
    fc.nat(900).map((bytes) => ({ take: bytes })),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const queue = new FrameQueue(1_000);
      const model: Uint8Array[] = [];
      const target = new Uint8Array(2_000);
      let dropped = 0;
      for (const operation of operations) {
        if ('push' in operation) {
          const used = model.reduce((sum, frame) => sum + frame.length + 2, 0);
          const fits = used + operation.push.length + 2 <= 1_000;
          expect(queue.push(operation.push, 0, operation.push.length)).toBe(fits);
          if (fits) model.push(operation.push);
          else dropped++;
        } else if (!queue.isEmpty) {
          const written = queue.take(target, 6, operation.take);
          const frames = records(target.slice(6, 6 + written));
          expect(frames.length).toBeGreaterThan(0);
          if (frames.length > 1) expect(written).toBeLessThanOrEqual(operation.take);
          expect(frames).toEqual(model.splice(0, frames.length));
        }
        expect(queue.dropped).toBe(dropped);
      }
    }),
  );
});
