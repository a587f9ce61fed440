import type { NodeStepKind } from './steps.ts';

/**
 * Milliseconds from the end of a step until every pair of the node must be online. All hold for ten nodes on two cores, where
 * starting one node takes two seconds of one core.
 */
export const ONLINE_WITHIN_MS: Partial<Record<NodeStepKind, number>> = {
  // Started, signed in and linked to nine others: 2 s alone, several at once share the cores.
  up: 25_000,
  // tincan starts within a second, its peers start over with the next attempt. One that had an attempt under way when tincan died
  // gives it up after 15 s (ATTEMPT_TIMEOUT_MS of the controller).
  'kill-tincan': 30_000,
  // The silence of a link without data is noticed after 25 s, that of the hub after 15 s; sign-in is tried again within 8 s after an
  // outage of 18 s, and an attempt that failed meanwhile is repeated within as much again.
  'cable-in': 45_000,
  // As with the cable, for what had given up under the loss.
  'loss-end': 45_000,
  // A roster push, presence, one attempt.
  admit: 15_000,
};

/** A controller that was killed is signed in again: started at once, on a busy machine within seconds. */
export const CONTROLLER_BACK_MS = 20_000;
/**
 * After an outage of the hub all controllers are signed in again. Their tries come at most 30 s apart: who lost several sessions in a row,
 * none of them 30 s old, waits for that long (the controller's reconnect-policy.ts). An attempt that was cut off may take its 15 s besides.
 */
export const HUB_BACK_MS = 45_000;
/** A removed member's links end with the roster push; the demand for an undisturbed pair is a second or so. */
export const REVOKED_MS = 5_000;
/**
 * When one end or the hub was disturbed, the end that learns of it first says goodbye; where that is lost, 25 s of silence end the other
 * half of the link. Five more for a busy machine.
 */
export const APART_MS = 30_000;
/**
 * A link that must be online and is pinged twice a second hears something: a path that dies is left within 3 s, and for its successor
 * there are as many again and a busy machine's share.
 */
export const CARRIED_MS = 10_000;
