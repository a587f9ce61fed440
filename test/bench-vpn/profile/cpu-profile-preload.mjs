// Loaded by node before a program (--import) in each of its threads: profiles the thread and writes the profile when it ends.
// The directory comes as the query of this module's address, since Kith's supervisor hands on no other variable than NODE_OPTIONS.
import fs from 'node:fs';
import inspector from 'node:inspector';
import path from 'node:path';
import { isMainThread } from 'node:worker_threads';

// Microseconds. V8's own 1000 would miss much of what takes a few each.
const INTERVAL = 250;

const directory = decodeURIComponent(new URL(import.meta.url).search.slice(1));
// In a worker this is the worker's file.
const program = path.basename(process.argv[1] ?? 'node', '.js');
const thread = isMainThread ? 'main' : program.replace(/-worker$/, '');
const session = new inspector.Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.setSamplingInterval', { interval: INTERVAL });
session.post('Profiler.start');
process.on('exit', () => {
  session.post('Profiler.stop', (error, result) => {
    if (error !== null) return;
    fs.writeFileSync(
      path.join(directory, `${process.pid}.${thread}.cpuprofile`),
      JSON.stringify(result.profile),
    );
  });
});
