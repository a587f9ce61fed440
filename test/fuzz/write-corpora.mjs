// Writes the corpora: node test/fuzz/write-corpora.mjs. One file per input, named by what it is; `good` ones must be taken, `bad` ones
// must meet a clear refusal. Files whose inputs are here no more are removed.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { datagrams, ethernet, messages } from './corpora-bytes.mjs';
import { calls, controls, signals } from './corpora-text.mjs';

const ROOT = fileURLToPath(new URL('./corpus/', import.meta.url));

/** @typedef {Record<string, string | Uint8Array>} Inputs */

/** @param {string} target @param {{ good: Inputs, bad: Inputs }} corpus @param {string} extension */
function write(target, corpus, extension) {
  for (const [verdict, inputs] of Object.entries(corpus)) {
    const directory = join(ROOT, target, verdict);
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    for (const [name, data] of Object.entries(inputs)) {
      writeFileSync(join(directory, `${name.replaceAll('/', '-').replaceAll(' ', '-')}.${extension}`), data);
    }
  }
}

write('signal', signals, 'txt');
write('api-call', calls, 'txt');
write('api-datagram', datagrams, 'bin');
write('control', controls, 'txt');
write('frames-message', messages, 'bin');
write('ethernet-frame', ethernet, 'bin');
