import { runKith } from './program.ts';

// A reader of our output that goes away early (`kith status | head -1`) is no failure.
process.stdout.on('error', (error) => {
  if (!('code' in error) || error.code !== 'EPIPE') throw error;
});

// The code is set, not forced by exit(), so that output to a slow pipe is written whole.
process.exitCode = await runKith(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
});
