// Cleans up after a lab however its owner ends: a lab's process starts this one detached and holds the other end of its
// standard input. When that closes (the lab was destroyed, or its owner exited, crashed or was killed with -9), everything
// that was announced on it is removed.
//
// It is plain JavaScript with nothing but Node's builtins, because it must run the same from the sources (vitest) and from
// dist, and must still work when whatever it cleans up after is broken. One JSON object per line comes in:
//   {"namespace": NAME}     a network namespace: its processes are killed, it and /etc/netns/NAME are deleted
//   {"directory": PATH}     a directory to delete
//   {"keep_logs": PATH}     copy *.log out of the directories to PATH before they go
//   {"done": true}          the owner ended the lab when it was finished: nothing of it is still being made
//   {"hand_over": PATH}     remove nothing: write all of the above to PATH, which can be fed to a later reaper, and end
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';

// It runs as root and deletes what it is told, so it only believes names that a lab makes.
const NAMESPACE = /^kith-[a-z0-9-]{1,40}$/;
const DIRECTORY = /^\/[A-Za-z0-9_./-]*\/kith-lab-[A-Za-z0-9-]+$/;
// Killed processes vanish in milliseconds; the kernel may take longer to write out a core or close TAP devices.
const KILL_DEADLINE_MS = 5000;
// An `ip netns add` or `ip netns exec` that the dead owner had just started, or that an interrupted one still starts, may
// finish after the first round; a second one this much later finds what it made.
const LATE_BIRTH_MS = 1000;
// Enough for every log of a failed test, and a bound for a log gone wild.
const MAX_KEPT_LOG_BYTES = 20 * 1024 * 1024;

/** @type {Set<string>} */
const namespaces = new Set();
/** @type {Set<string>} */
const directories = new Set();
/** @type {string[]} */
const problems = [];
let keepLogs = '';
let endedOnPurpose = false;
/**
 * How /proc names the lab's namespaces (`net:[4026532000]`). Each is held open from when it is first seen, so that its
 * number is given to no other; and a process that got in just before its name was deleted is still found by it.
 * @type {Set<string>}
 */
const held = new Set();

/** @param {number} milliseconds */
function pause(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** @param {string[]} args */
function ip(args) {
  return spawnSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function hold() {
  for (const namespace of namespaces) {
    if (!exists(namespace)) continue;
    const file = fs.openSync(`/run/netns/${namespace}`, 'r');
    const name = `net:[${fs.fstatSync(file).ino}]`;
    // Held once is held until we end.
    if (held.has(name)) fs.closeSync(file);
    held.add(name);
  }
}

function processes() {
  return fs
    .readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return held.has(fs.readlinkSync(`/proc/${pid}/ns/net`));
      } catch {
        // It ended in between, or is a zombie, which is in no namespace any more.
        return false;
      }
    });
}

function killAll() {
  const deadline = Date.now() + KILL_DEADLINE_MS;
  for (;;) {
    const alive = processes();
    if (alive.length === 0) return;
    if (Date.now() > deadline) {
      problems.push(`processes ${alive.join(' ')} do not end`);
      return;
    }
    for (const pid of alive) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself in between.
      }
    }
    pause(20);
  }
}

/** @param {string} namespace */
function exists(namespace) {
  return fs.existsSync(`/run/netns/${namespace}`);
}

/** @param {string} namespace */
function deleteNamespace(namespace) {
  fs.rmSync(`/etc/netns/${namespace}`, { recursive: true, force: true });
  if (!exists(namespace)) return;
  const result = ip(['netns', 'delete', namespace]);
  if (result.status !== 0) problems.push(`namespace ${namespace}: ${result.stderr.trim()}`);
}

/** @param {string} directory */
function saveLogs(directory) {
  const owner = fs.statSync(keepLogs);
  /** @param {string} target */
  const give = (target) => fs.lchownSync(target, owner.uid, owner.gid);
  let budget = MAX_KEPT_LOG_BYTES;
  for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.log(\.\d+)?$/.test(entry.name)) continue;
    const source = path.join(entry.parentPath, entry.name);
    budget -= fs.statSync(source).size;
    if (budget < 0) return;
    const folder = path.join(keepLogs, path.basename(directory));
    if (!fs.existsSync(folder)) {
      fs.mkdirSync(folder);
      give(folder);
    }
    // Flat names: alice/run/kith.log becomes alice_run_kith.log.
    const target = path.join(folder, path.relative(directory, source).replaceAll('/', '_'));
    fs.copyFileSync(source, target);
    give(target);
  }
}

function clean() {
  hold();
  killAll();
  for (const namespace of namespaces) deleteNamespace(namespace);
  // Nobody can enter by name any more; this finds who had just done so.
  killAll();
  try {
    // Only ours were in it, or somebody else's are and it stays.
    fs.rmdirSync('/etc/netns');
  } catch {}
}

function finish() {
  clean();
  if (!endedOnPurpose) {
    pause(LATE_BIRTH_MS);
    clean();
  }
  for (const directory of directories) {
    try {
      if (keepLogs !== '' && fs.existsSync(directory)) saveLogs(directory);
    } catch (error) {
      problems.push(`logs of ${directory}: ${error}`);
    }
    try {
      fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    } catch (error) {
      problems.push(`${directory}: ${error}`);
    }
  }
  say(`${JSON.stringify({ problems })}\n`);
  process.exit(problems.length === 0 ? 0 : 1);
}

/** @param {string} text */
function say(text) {
  try {
    fs.writeSync(1, text);
  } catch {
    // The owner is dead and nobody listens.
  }
}

/** @param {string} line */
function take(line) {
  const order = JSON.parse(line);
  if (typeof order.namespace === 'string' && NAMESPACE.test(order.namespace)) namespaces.add(order.namespace);
  else if (typeof order.directory === 'string' && DIRECTORY.test(order.directory))
    directories.add(order.directory);
  else if (typeof order.keep_logs === 'string') keepLogs = order.keep_logs;
  else if (order.done === true) endedOnPurpose = true;
  else if (typeof order.hand_over === 'string') handOver(order.hand_over);
  else problems.push(`order not understood: ${line}`);
}

/** @param {string} file */
function handOver(file) {
  const lines = [
    ...[...namespaces].map((namespace) => JSON.stringify({ namespace })),
    ...[...directories].map((directory) => JSON.stringify({ directory })),
    JSON.stringify({ done: true }),
  ];
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  fs.writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  say(`${JSON.stringify({ problems })}\n`);
  process.exit(0);
}

// Whatever ends the terminal or the owner's process group must not end the one who cleans up.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM', 'SIGQUIT']) process.on(signal, () => undefined);

readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    try {
      take(line);
    } catch (error) {
      problems.push(`order not understood: ${line}: ${error}`);
    }
  })
  .on('close', finish);
process.stdin.on('error', finish);
say('ready\n');
