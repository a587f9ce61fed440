// The command line of `npm run bench`. Plain JavaScript, since scripts/bench.mjs reads it before anything is built.
import { numberOf, readArguments, UsageError } from '../command-line/command-line.mjs';

/** Every system that is compared, in the order in which they run. */
export const SYSTEM_NAMES = /** @type {const} */ ([
  'none',
  'kith-encrypted',
  'kith-plain',
  'kith-channel',
  'tinc',
  'wireguard-go',
  'nebula',
  'openvpn',
  'n2n',
]);
/** @typedef {(typeof SYSTEM_NAMES)[number]} SystemName */

/**
 * @typedef {object} BenchOptions
 * @property {number} rounds
 * @property {number} seconds length of each measurement
 * @property {SystemName[]} only
 * @property {boolean} all whether nothing was left out by --only
 * @property {boolean} profile
 * @property {boolean} lossy
 * @property {number} loss share of frames that the lossy wire loses, 0 to 1
 * @property {number} delayMs round trip that the lossy wire adds
 * @property {number} seed
 * @property {string} tcp congestion control of both hosts
 * @property {string | undefined} json
 * @property {string | undefined} svg
 */

export const HELP = `npm run bench [-- OPTION …]
  --rounds N      rounds in which every system has its turn (3)
  --seconds N     length of each measurement (5; with --lossy 20)
  --only A,B      only these of ${SYSTEM_NAMES.join(', ')}
  --json FILE     write the figures to FILE
  --svg FILE      write the chart to FILE (docs/bench.svg when every system takes part)
  --profile       no comparison: flame graphs of every thread of Kith under a TCP load
  --lossy         no comparison of speed: one TCP stream over a wire with loss and delay,
                  without VPN (none) and through each system
  --loss PERCENT  what the lossy wire loses, each way (1)
  --delay MS      the round trip that the lossy wire adds (50)
  --seed N        of the lossy wire's dice (1)
  --tcp NAME      congestion control of the hosts (cubic, as Linux and Debian have it; with --lossy bbr, since cubic
                  would show little but the loss)
`;

const OPTIONS = /** @type {const} */ ({
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  only: { type: 'string' },
  json: { type: 'string' },
  svg: { type: 'string' },
  profile: { type: 'boolean' },
  lossy: { type: 'boolean' },
  loss: { type: 'string' },
  delay: { type: 'string' },
  seed: { type: 'string' },
  tcp: { type: 'string' },
  help: { type: 'boolean' },
});

/**
 * @param {readonly string[]} args
 * @returns {BenchOptions | 'help'}
 */
export function parseOptions(args) {
  const values = readArguments(args, OPTIONS);
  if (values.help === true) return 'help';
  const lossy = values.lossy === true;
  if (lossy && values.profile === true) throw new UsageError('--lossy and --profile are two benches');
  const only =
    values.only === undefined ? [...SYSTEM_NAMES] : [...new Set(values.only.split(',').map(systemName))];
  return {
    rounds: numberOf('--rounds', values.rounds ?? '3', 1, 100),
    // Loss makes short runs a game of chance.
    seconds: numberOf('--seconds', values.seconds ?? (lossy ? '20' : '5'), 1, 600),
    only,
    all: only.length === SYSTEM_NAMES.length,
    profile: values.profile === true,
    lossy,
    loss: numberOf('--loss', values.loss ?? '1', 0, 100, false) / 100,
    delayMs: numberOf('--delay', values.delay ?? '50', 0, 10_000, false),
    seed: numberOf('--seed', values.seed ?? '1', 0, 2 ** 31),
    tcp: congestionControl(values.tcp ?? (lossy ? 'bbr' : 'cubic')),
    json: values.json,
    svg: values.svg,
  };
}

/** @param {string} name */
function congestionControl(name) {
  if (/^[a-z0-9_]{1,15}$/.test(name)) return name;
  throw new UsageError(`--tcp ${name}: expected a congestion control such as cubic or bbr`);
}

/** @param {string} text */
function systemName(text) {
  const name = SYSTEM_NAMES.find((known) => known === text.trim());
  if (name === undefined) throw new UsageError(`--only: ${text} is none of ${SYSTEM_NAMES.join(', ')}`);
  return name;
}
