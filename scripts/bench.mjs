// npm run bench: Kith beside no VPN and the VPNs that Debian has, set-up included. What is measured is told in test/bench-vpn/.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { HELP, parseOptions } from '../test/bench-vpn/options.mjs';
import { fromCaller, keep, runLabProgram, say } from './lab-program.mjs';
import { ROOT } from './project.mjs';
import { runAsRoot } from './root.mjs';

const ROOT_PART = fileURLToPath(new URL('./setup-root.mjs', import.meta.url));
const CHART = path.join(ROOT, 'docs', 'bench.svg');
const PROFILES = path.join(ROOT, 'test', 'dist', 'profile');

/** Debian packages of the systems that Kith is compared with. */
const PEERS = new Map([
  ['tinc', ['tinc']],
  ['wireguard-go', ['wireguard-go', 'wireguard-tools']],
  ['nebula', ['nebula']],
  ['openvpn', ['openvpn']],
  ['n2n', ['n2n']],
]);

/** @param {string} name */
function isInstalled(name) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder is dpkg-query's
  const query = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Status}', name], { encoding: 'utf8' });
  return query.stdout === 'installed';
}

/** @param {readonly string[]} systems */
async function installPeers(systems) {
  // Elsewhere the peers are used where they are found, and reported missing where they are not.
  if (spawnSync('dpkg-query', ['--version'], { stdio: 'ignore' }).error !== undefined) return;
  const missing = systems.flatMap((system) => PEERS.get(system) ?? []).filter((name) => !isInstalled(name));
  if (missing.length === 0) return;
  const what = `apt-get install ${missing.join(' ')}`;
  say(`Set-up: ${what}`);
  const code = await runAsRoot([process.execPath, ROOT_PART, ...missing], { what, say });
  // One that is missing is reported as such by the bench, which goes on without it.
  if (code !== 0) say('Not all of these could be installed; those that are missing are left out.');
}

/**
 * @param {string} directory
 * @param {import('../test/bench-vpn/options.mjs').BenchOptions} options
 */
function keepResults(directory, { all, json, lossy, svg }) {
  const at = (/** @type {string} */ name) => path.join(directory, name);
  if (json !== undefined) keep(at('bench.json'), fromCaller(json));
  // A chart of some of the systems must not take the place of the one in the README.
  const chart = svg === undefined ? all && !lossy && CHART : fromCaller(svg);
  if (chart !== false) keep(at('bench.svg'), chart);
  for (const file of fs.readdirSync(directory).filter((name) => name.endsWith('.flame.svg'))) {
    keep(at(file), path.join(PROFILES, file));
  }
}

await runLabProgram({
  name: 'bench-vpn',
  help: HELP,
  parse: parseOptions,
  what: 'network namespaces, TAP devices, a private ejabberd and the VPNs that are compared',
  prepare: ({ only }) => installPeers(only),
  keep: (directory, options, code) => {
    if (code === 0) keepResults(directory, options);
  },
});
