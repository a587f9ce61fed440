import { SystemError } from '@kith/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAnswer, StateAsks } from './state-asks.ts';

type Received = Parameters<Parameters<StateAsks['begin']>[1]>[0];

test('an answer is whole when as many peers came as local_state names', () => {
  const asks = new StateAsks();
  const received: Received[] = [];
  const id = asks.begin(0, (answer) => received.push(answer));
  expect(asks.take({ type: 'local_state', id, peers: 2 })).toBe(true);
  expect(asks.take({ type: 'peer_state', id, uid: 'a' })).toBe(true);
  expect(received).toEqual([]);
  expect(asks.take({ type: 'peer_state', id, uid: 'b' })).toBe(true);
  expect(received).toMatchObject([{ local: { peers: 2 }, peers: [{ uid: 'a' }, { uid: 'b' }] }]);
  expect(asks.take({ type: 'peer_state', id, uid: 'c' })).toBe(false);
  expect(asks.size).toBe(0);
});

test("tincan's own error ends a question, and silence does; what came by then is given", () => {
  const asks = new StateAsks();
  const received: Received[] = [];
  const receive = (answer: Received): void => void received.push(answer);
  const busy = asks.begin(0, receive);
  asks.take({ type: 'error', id: busy, code: 'API_BUSY' });
  asks.begin(0, receive);
  const part = asks.begin(0, receive);
  asks.take({ type: 'local_state', id: part, peers: 3 });
  asks.take({ type: 'peer_state', id: part, uid: 'a' });
  asks.expire(999);
  expect(received).toHaveLength(1);
  asks.expire(1_000);
  const [error, silent, some] = received;
  expect(error).toMatchObject({ code: 'API_BUSY' });
  expect(silent).toBeInstanceOf(SystemError);
  expect(silent).toMatchObject({ code: 'TINCAN_SILENT' });
  expect(some).toMatchObject({ peers: [{ uid: 'a' }] });
});

test('more than 256 are not asked', () => {
  const asks = new StateAsks();
  for (let n = 0; n < 256; n++) expect(asks.begin(0, () => {})).toBeDefined();
  expect(asks.begin(0, () => {})).toBeUndefined();
});

test('in whatever order answers of several questions come, each question hears once', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(5), { minLength: 1, maxLength: 8 }),
      fc.infiniteStream(fc.nat(100)),
      (peers, order) => {
        const asks = new StateAsks();
        const heard = peers.map(() => 0);
        const queues = peers.map((count, index) => {
          const id = asks.begin(0, (answer) => {
            heard[index] = (heard[index] ?? 0) + 1;
            if (isAnswer(answer)) expect(answer.peers).toHaveLength(count);
          });
          const told = Array.from({ length: count }, (_, n) => ({ type: 'peer_state', id, uid: String(n) }));
          return [{ type: 'local_state', id, peers: count }, ...told];
        });
        for (const pick of order) {
          const open = queues.filter((queue) => queue.length > 0);
          const message = open[pick % Math.max(1, open.length)]?.shift();
          if (message === undefined) break;
          expect(asks.take(message)).toBe(true);
        }
        asks.expire(5_000);
        expect(heard).toEqual(peers.map(() => 1));
      },
    ),
  );
});
