import { type PollSet, yieldTurn } from '@kith/posix';

/**
 * How often a worker that has run dry lets others go first before it sleeps. Where the threads of a flow share processors, one of them is about to
 * bring more, and neither has to pay for a sleep and a wake-up then. Measured with 0, 1, 2, 3, 4, 6 and 10 (2 processors, one TCP stream): 2 to 3 are
 * best, and waiting by the clock (20 to 200 µs) is no better. With nothing but a ping to carry they made it a fifth slower.
 */
const YIELDS = 2;

/**
 * Sleeps until a descriptor is ready, `waitMs` at most (-1: for ever), after giving others a chance to bring work at once.
 */
export function restUntilReady(poll: PollSet, waitMs: number): void {
  if (waitMs !== 0) {
    for (let count = 0; count < YIELDS; count++) yieldTurn();
    if (poll.wait(0) > 0) return;
  }
  poll.wait(waitMs);
}
