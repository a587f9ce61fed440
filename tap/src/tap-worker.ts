import { EventFd, POLLIN, POLLOUT, PollSet } from '@kith/posix';
import { threadClock } from './clock.ts';
import { Egress } from './egress.ts';
import { Ingress } from './ingress.ts';
import type { Pace } from './pace.ts';
import { restUntilReady } from './rest.ts';
import { isAskedToStop, type SharedStop } from './stop.ts';
import { NOTHING } from './watched.ts';
import type { WorkerStart } from './worker-start.ts';

const BELL = 0;
const TAP = 1;
const WATCHED = 2;
const SOCKET = 3;

/** Steps of one turn: enough that what goes on between two turns does not count. */
const TURN_STEPS = 1000;

/**
 * How long a send may wait for room in the socket's buffer. Waiting is what slows the applications down, through the TAP device's
 * queue; but all links share this thread, so that a network card that stands still must not hold it for long.
 */
const SEND_WAIT_MS = 20;

/** A thread that carries frames, in one direction or in both, and sleeps in poll(2) while there are none. */
export class TapWorker {
  readonly #stop: SharedStop;
  readonly #bell: EventFd;
  readonly #poll: PollSet;
  readonly #clock: () => number;
  readonly #egress: Egress | null;
  readonly #ingress: Ingress | null;
  /** The socket that a send waits for. */
  readonly #room: PollSet;
  readonly #pace: Pace;
  /** The descriptor that is watched for the main thread now. */
  #watched = NOTHING;
  /** @param clock as threadClock */
  constructor({ bellFd, stop, egress, ingress }: WorkerStart, pace: Pace, clock = threadClock()) {
    this.#clock = clock;
    this.#stop = stop;
    this.#bell = EventFd.attach(bellFd);
    this.#pace = pace;
    this.#egress = egress === null ? null : new Egress(egress, pace, this.#awaitRoom);
    this.#ingress = ingress === null ? null : new Ingress(ingress, pace);
    const from = ingress?.direct?.socketFd ?? NOTHING;
    const to = egress?.direct?.socketFd ?? NOTHING;
    this.#poll = new PollSet([
      { fd: bellFd, events: POLLIN },
      { fd: egress?.tapFd ?? NOTHING, events: POLLIN },
      { fd: NOTHING, events: POLLIN },
      { fd: from, events: POLLIN },
    ]);
    this.#room = new PollSet([{ fd: to, events: from === to ? POLLIN | POLLOUT : POLLOUT }]);
  }

  /** Until it is asked to stop. */
  run(): void {
    while (this.turn(TURN_STEPS, -1));
  }

  /** So many steps. False when asked to stop. A loop that never ends would be the one that V8 does not compile. */
  turn(steps: number, waitMs: number): boolean {
    for (let step = 0; step < steps; step++) if (!this.step(waitMs)) return false;
    return true;
  }

  /**
   * Carries what the last step found, then waits for more, `waitMs` at most (-1: for ever). False when asked to stop. Throws SystemError when the
   * TAP device is gone.
   */
  step(waitMs: number): boolean {
    if (isAskedToStop(this.#stop)) return false;
    const poll = this.#poll;
    const nowMs = this.#clock();
    const isSocketBusy = this.#carry(nowMs);
    // What is left has time: whoever waits for an answer would wait for all that a thread runs between its wake-up and the frame, out of empty caches.
    this.#pace.look(nowMs);
    const mayRest = this.#serveMain() && !isSocketBusy;
    if (!mayRest) poll.wait(0);
    else if (this.#pace.isFlow && this.#hasFound) restUntilReady(poll, waitMs);
    else poll.wait(waitMs);
    return true;
  }

  /** Carries the frames that the last wait found. Whether the socket may have more. */
  #carry(nowMs: number): boolean {
    const poll = this.#poll;
    const egress = this.#egress;
    const ingress = this.#ingress;
    const isSocketBusy = ingress?.take(poll.ready(SOCKET) !== 0, nowMs) === true;
    // The kernel answers an echo and acknowledges a segment during the call that brings it. POLLERR, which says that the device is gone, comes back as
    // EBADFD from the read.
    if (egress !== null && (poll.ready(TAP) !== 0 || ingress?.hasWritten === true)) egress.take(nowMs);
    return isSocketBusy;
  }

  /** Whether the last wait found anything: then there may be more soon. */
  get #hasFound(): boolean {
    const poll = this.#poll;
    return poll.ready(TAP) !== 0 || poll.ready(SOCKET) !== 0 || poll.ready(BELL) !== 0;
  }

  /** Takes the main thread's frames and commands. True when that was all and the worker may sleep: the next one rings the bell. */
  #serveMain(): boolean {
    if (this.#poll.ready(BELL) !== 0) this.#bell.clear();
    const mayRest = this.#ingress === null || this.#ingress.takeRing();
    return (this.#egress === null || this.#serveEgress(this.#egress)) && mayRest;
  }

  /** What the main thread wants of the egress. False when there is more of it. */
  #serveEgress(egress: Egress): boolean {
    if (this.#poll.ready(WATCHED) !== 0) egress.tellReadable(this.#watched);
    const mayRest = egress.carryOutCommands();
    const watched = egress.watched;
    if (watched !== this.#watched) this.#poll.setFd(WATCHED, watched);
    this.#watched = watched;
    return mayRest;
  }

  /** A worker of both directions goes on to take what comes while it waits. */
  readonly #awaitRoom = (): void => {
    const untilMs = this.#clock() + SEND_WAIT_MS;
    for (;;) {
      const nowMs = this.#clock();
      if (nowMs >= untilMs) return;
      this.#room.wait(Math.ceil(untilMs - nowMs));
      if (this.#room.ready(0) !== POLLIN) return;
      this.#ingress?.takeSocket(nowMs);
    }
  };
}
