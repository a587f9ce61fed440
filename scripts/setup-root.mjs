// The part of the set-up that needs root:  node setup-root.mjs [--tun] [DEBIAN PACKAGE …]
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';

const TUN = '/dev/net/tun';
// Debian asks this program whether a package may start its service (invoke-rc.d(8)); 101 means no.
const POLICY = '/usr/sbin/policy-rc.d';
const OUR_POLICY =
  '#!/bin/sh\n# Kith set-up: the ejabberd service is not wanted, only its program. Safe to remove.\nexit 101\n';

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  // Standard output may carry a demo's JSON; what programs have to say goes to standard error.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const result = spawnSync(command, args, { stdio: ['ignore', 2, 2], env });
  if (result.status !== 0) {
    const why = result.error?.message ?? `exit code ${result.status}`;
    throw new Error(`${command} ${args.join(' ')}: ${why}`);
  }
}

/** @param {string[]} packages */
function install(packages) {
  // Unattended upgrades may hold dpkg's lock for minutes.
  const options = ['-q', '-o', 'DPkg::Lock::Timeout=300'];
  run('apt-get', [...options, 'update']);
  const before = fs.existsSync(POLICY) && fs.readFileSync(POLICY, 'utf8') !== OUR_POLICY;
  if (!before) fs.writeFileSync(POLICY, OUR_POLICY, { mode: 0o755 });
  try {
    run('apt-get', [...options, 'install', '-y', '--no-install-recommends', ...packages]);
  } finally {
    if (!before) fs.rmSync(POLICY);
  }
  // Only one that we have just installed; an ejabberd that was there before is somebody's and stays as it is.
  if (packages.includes('ejabberd')) {
    if (fs.existsSync('/usr/bin/systemctl')) run('systemctl', ['disable', 'ejabberd.service']);
    else run('update-rc.d', ['ejabberd', 'disable']);
  }
}

function makeTun() {
  // The module makes the device on a machine with udev or devtmpfs; in a container it must be made by hand.
  spawnSync('modprobe', ['tun'], { stdio: 'ignore' });
  if (fs.existsSync(TUN)) return;
  fs.mkdirSync('/dev/net', { recursive: true });
  // Character device 10:200, see Documentation/networking/tuntap.rst of the kernel.
  run('mknod', [TUN, 'c', '10', '200']);
  fs.chmodSync(TUN, 0o666);
}

const args = process.argv.slice(2);
const packages = args.filter((name) => name !== '--tun');
try {
  if (packages.length > 0) install(packages);
  if (args.includes('--tun')) makeTun();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
