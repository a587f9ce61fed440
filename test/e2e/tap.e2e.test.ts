import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Reaper } from '../lab/reaper.ts';

// Real TAP devices, each in a fresh network namespace, so that nothing of the host is touched. Worker threads share the
// namespace of their process, hence one child process per scenario; it runs from what `npm run build` made.

const SCENARIOS = fileURLToPath(new URL('./tap-scenarios.mjs', import.meta.url));
/** Owner of this node's own addresses (LINK_SELF of @kith/tap). */
const SELF = 0xfffe;
/** Link number of the host that the scenarios play. */
const PEER = 7;

let reaper: Reaper;
let namespace = '';
let count = 0;
let children: ChildProcess[] = [];

beforeEach(async () => {
  namespace = `kith-tap-${process.pid}-${count++}`;
  // Whatever ends this process, the namespace goes.
  reaper = await Reaper.start();
  await reaper.order({ namespace });
  execFileSync('ip', ['netns', 'add', namespace]);
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  await reaper.clean(true);
});

/** @param within the command line that runs the scenario's program; its own mounts stay its own */
function start(
  scenario: string,
  stderr: 'inherit' | 'ignore' = 'inherit',
  within: string[] = [],
): ChildProcess {
  const command = [...within, process.execPath, SCENARIOS, scenario];
  const child = spawn('ip', ['netns', 'exec', namespace, ...command], { stdio: ['ignore', 'pipe', stderr] });
  children.push(child);
  return child;
}

/** Runs a scenario to its end and returns what it reported. */
async function play(scenario: string, within?: string[]): Promise<unknown> {
  const child = start(scenario, 'inherit', within);
  const ended = once(child, 'exit');
  const output = child.stdout === null ? '' : await text(child.stdout);
  expect((await ended)[0]).toBe(0);
  return JSON.parse(output);
}

function atLeast(least: number): unknown {
  return expect.toSatisfy((value: number) => value >= least);
}

function devices(): string {
  return execFileSync('ip', ['-n', namespace, '-br', 'link'], { encoding: 'utf8' });
}

test('a host behind a link is found by ARP and pinged through the worker, at full MTU, and the device goes with close', async () => {
  expect(await play('ping')).toMatchObject({
    device: { mac: '02:00:00:00:00:01', mtu: 1360, flags: expect.arrayContaining(['UP']), ip4: '172.31.0.1' },
    acceptsRouters: '0',
    isAnswered: true,
    large: true,
    floods: atLeast(1),
    unicasts: atLeast(4),
    owner: PEER,
    counters: { dropped_malformed: 0, dropped_spoofed_mac: 0, dropped_spoofed_ip: 0, learned_macs: 1 },
    isGone: true,
  });
});

test('a machine that does not let routers be refused, as a container may not, is told apart', async () => {
  const readOnly = 'mount -o bind,ro /proc/sys /proc/sys && exec "$@"';
  expect(await play('readOnlySettings', ['sh', '-c', readOnly, 'sh'])).toEqual({ acceptsRouters: true });
  expect(await play('readOnlySettings')).toEqual({ acceptsRouters: false });
});

test('in layer 3, ARP and neighbour discovery are answered here, and what is sent to a member waits for its link', async () => {
  expect(await play('member')).toMatchObject({
    before: { tags: [], wanted: ['peer'] },
    isAnswered: true,
    // Nothing had to be sent again: an echo request is not.
    answeredAfterMs: expect.toSatisfy((ms: number) => ms < 1000),
    neighbour6: expect.stringMatching(/lladdr 02:00:00:00:00:02/),
    isLost: true,
    isUnknown: true,
    counters: { members: 1, held_frames: 1, neighbour_answers: atLeast(2), dropped_spoofed_ip: 0 },
    later: { members: 0, held_frames: 0, dropped_held_removed: 1, dropped_unanswered: atLeast(1) },
    links: [PEER, PEER, PEER],
  });
});

test('a link that comes up is told to a kernel that waits for an ARP reply', async () => {
  expect(await play('announced')).toMatchObject({
    isAnswered: true,
    // The kernel would have asked again a second after its first request.
    answeredAfterMs: expect.toSatisfy((ms: number) => ms < 900),
    unicasts: [PEER],
  });
});

test('an address that moves to another node is told to a kernel that has just learned where it was', async () => {
  expect(await play('moved')).toEqual({
    before: expect.stringContaining('02:00:00:00:00:02'),
    after: expect.stringContaining('02:00:00:00:00:03'),
  });
});

test('frames with stolen addresses never reach an application; bindings take effect in order', async () => {
  expect(await play('spoof')).toMatchObject({
    texts: ['nobody owns it yet', 'owner', 'the end'],
    counters: {
      dropped_spoofed_ip: 1,
      dropped_spoofed_mac: 2,
      dropped_malformed: 1,
      refused_bindings: 1,
      tap_rx_frames: 3,
    },
  });
});

test('an idle device sleeps', async () => {
  // Three seconds of spinning would be 3000; a few stray IPv6 announcements of the kernel are allowed for.
  expect(await play('idle')).toEqual({ cpuMs: expect.toSatisfy((cpuMs: number) => cpuMs < 300) });
});

test('process.exit does not hang on the sleeping workers, and the device vanishes', async () => {
  const child = start('exit');
  expect((await once(child, 'exit'))[0]).toBe(3);
  expect(devices()).not.toContain('kith0');
});

test('an uncaught exception ends the process, and the device vanishes', async () => {
  const child = start('throw', 'ignore');
  expect((await once(child, 'exit'))[0]).toBe(1);
  expect(devices()).not.toContain('kith0');
});

test('kill -9 makes the device vanish', async () => {
  const child = start('hang');
  if (child.stdout !== null) await once(child.stdout, 'data');
  expect(devices()).toContain('kith0');
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  expect(devices()).not.toContain('kith0');
});

test('a name that is taken, and missing rights, are told apart', async () => {
  expect(await play('taken')).toEqual({ code: 'TAP_NAME_TAKEN' });
  expect(await play('unprivileged')).toEqual({ code: 'TAP_NO_RIGHTS' });
});

test('a device that somebody deletes is reported as a failure', async () => {
  expect(await play('deleted')).toEqual({ code: 'TAP_GONE' });
});

test('a device that is set down loses frames, and works again when it is up', async () => {
  expect(await play('down')).toEqual({ isAnswered: true, hasFailed: false });
});

test('frames beyond our MTU are dropped whole when somebody raises the MTU of the interface', async () => {
  expect(await play('resized')).toEqual({ large: false, small: true, dropped: atLeast(1) });
});

test('the address can be replaced while the device runs', async () => {
  expect(await play('address')).toEqual({
    addresses: ['172.31.0.1/24'],
    isAnswered: true,
    owners: [SELF, null],
  });
});

test('an IPv6 address is usable at once, can be replaced and taken away, and a device without IPv6 says so', async () => {
  expect(await play('address6')).toEqual({
    seen: [['fd00::2/48'], ['fd00::1/64'], []],
    owners: [SELF, null],
    code: 'EACCES',
    wrong: 'TAP_ADDRESS',
  });
});

test('a descriptor of the main thread is watched: told once when it can be read or is closed, and again when asked again', async () => {
  expect(await play('watched')).toEqual({ once: 1, afterClear: 1, told: 3 });
});

test('overload in either direction drops, counts, and passes', async () => {
  expect(await play('overload')).toEqual({
    uplinkDrops: atLeast(1),
    downlinkDrops: atLeast(1000),
    isAnswered: true,
  });
});

test('opening and closing again and again leaks no descriptor', async () => {
  expect(await play('reopen')).toEqual({ leaked: 0 });
});
