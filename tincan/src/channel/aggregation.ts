/**
 * How many bytes of waiting frames share one message of the `frames` channel. SCTP's cost is per message (measured on one machine:
 * 172 to 254 Mbit/s with 1 200-byte messages, 415 Mbit/s with 16 KiB), but an unreliable message is lost whole when any of its
 * packets is. So: large while nothing gets lost, single frames when something does.
 */

/** Above this size more aggregation gained nothing in the measurement that platform facts name. */
export const AGGREGATE_MAX_BYTES = 16_384;

/** Zero: a message carries one frame (the queue always takes at least one). */
export const AGGREGATE_MIN_BYTES = 0;

/**
 * A message of 16 KiB spans 14 SCTP packets. At 2 per mille message loss that is about 0.14 per mille packet loss, where TCP still
 * runs at full speed; beyond it, losing 14 packets at a time costs more than the calls saved.
 */
const LOSS_LIMIT_PER_MILLE = 2;
const LOSS_RECOVER_PER_MILLE = 0.5;

/** Pure: the size for the next messages, from the size now and the loss that the receiver reported. */
export function nextAggregate(current: number, lossPerMille: number): number {
  if (lossPerMille > LOSS_LIMIT_PER_MILLE) {
    const half = current / 2;
    // Below one MTU's worth there is nothing left to split.
    return half < 1_500 ? AGGREGATE_MIN_BYTES : half;
  }
  if (lossPerMille < LOSS_RECOVER_PER_MILLE && current < AGGREGATE_MAX_BYTES) {
    return Math.min(AGGREGATE_MAX_BYTES, Math.max(current, 750) * 2);
  }
  return current;
}
