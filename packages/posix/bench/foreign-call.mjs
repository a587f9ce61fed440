// What a foreign call costs by the types of its arguments: `node packages/posix/bench/foreign-call.mjs` after a build.
import koffi from 'koffi';
import { hotMemory, stableBytes } from '../dist/index.js';
import { nsPerCall, show } from './measure.mjs';

const CALLS = 300_000;
const library = koffi.load(null);
const low = hotMemory(64).address;
// A buffer of this size is mapped by itself, above 2 GiB.
const view = stableBytes(4 * 2 ** 20);
const high = Number(koffi.address(view));

// The called function takes no argument, so that only koffi's work on them is seen.
const declare = (types) => library.func('OpenSSL_version_num', 'int', types);

const none = declare([]);
show(
  'no argument',
  nsPerCall(() => none(), CALLS),
);
const kinds = [
  ['int', 'small integer', 1],
  ['uintptr_t', 'address below 2 GiB', low],
  ['uintptr_t', 'address above, already boxed', high],
  ['uintptr_t', 'BigInt', BigInt(high)],
  ['void *', 'BigInt', BigInt(high)],
  ['void *', 'view of shared memory', view],
];
for (const [type, what, value] of kinds) {
  const four = declare([type, type, type, type]);
  show(
    `4 x ${type}: ${what}`,
    nsPerCall(() => four(value, value, value, value), CALLS),
  );
}
const one = declare(['uintptr_t']);
show(
  'uintptr_t: address + offset below 2 GiB',
  nsPerCall((index) => one(low + (index & 31)), CALLS),
);
show(
  'uintptr_t: address + offset above',
  nsPerCall((index) => one(high + (index & 31)), CALLS),
);
