import { parentPort, workerData } from 'node:worker_threads';
import { EgressWorker } from './egress-worker.ts';
import { rehearse } from './rehearsal.ts';
import { READY, type WorkerStart } from './worker-start.ts';

const start: WorkerStart = workerData;
const worker = new EgressWorker(start);
if (start.direct !== null) rehearse(start, start.direct);
parentPort?.postMessage(READY);
worker.run();
