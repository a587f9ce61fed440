import { parentPort, workerData } from 'node:worker_threads';
import { threadClock } from './clock.ts';
import { EGRESS_PACE, INGRESS_PACE, Pace } from './pace.ts';
import { rehearse } from './rehearsal.ts';
import { TapWorker } from './tap-worker.ts';
import { READY, type WorkerStart } from './worker-start.ts';

const start: WorkerStart = workerData;
const direction = start.egress ?? start.ingress;
if (direction?.direct) rehearse(direction, direction.direct);
// Made after it, so that V8 knows its objects for the same as those of the rehearsal.
const pace = new Pace(start.pace, start.egress === null ? INGRESS_PACE : EGRESS_PACE, threadClock()());
const worker = new TapWorker(start, pace);
parentPort?.postMessage(READY);
worker.run();
