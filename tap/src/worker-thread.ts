import { parentPort, workerData } from 'node:worker_threads';
import { compileEarly, compileLate } from '@kith/base';
import { threadClock } from './clock.ts';
import { EGRESS_PACE, INGRESS_PACE, Pace } from './pace.ts';
import { rehearse } from './rehearsal.ts';
import { StreamMode } from './stream-mode.ts';
import { TapWorker } from './tap-worker.ts';
import { READY, type WorkerStart } from './worker-start.ts';

const start: WorkerStart = workerData;
const direction = start.egress ?? start.ingress;
if (direction?.direct) rehearse(direction, direction.direct);
// Made after it, so that V8 knows its objects for the same as those of the rehearsal.
// All threads of the process share it, so that the main thread's code is compiled early too while a stream flows.
const mode = new StreamMode((early) => (early ? compileEarly() : compileLate()));
const pace = new Pace(start.pace, start.egress === null ? INGRESS_PACE : EGRESS_PACE, threadClock()(), mode);
const worker = new TapWorker(start, pace);
parentPort?.postMessage(READY);
worker.run();
