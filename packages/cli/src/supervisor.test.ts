import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BEAT_MS } from '@kith/base';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { lockWait } from './lock-wait.ts';
import { readPidFile } from './pid-file.ts';
import { startTimeOf } from './process-proof.ts';
import type { ChildSpec, Death } from './supervised-child.ts';
import { Supervisor, type SupervisorOptions } from './supervisor.ts';

/** A child as the contract has it: says what it was given, ends on SIGTERM or when its supervisor is gone. */
const GOOD = `
const { Socket } = require('node:net');
const { readFileSync } = require('node:fs');
const document = readFileSync(0, 'utf8');
console.log(JSON.stringify({ level: 30, msg: 'ready', pid: process.pid, document, secret: process.env.KITH_TEST_SECRET }));
new Socket({ fd: Number(process.env.KITH_PARENT_FD) }).on('end', () => process.exit(0)).resume();
process.on('SIGTERM', () => process.exit(0));
`;
/** Says once that it lives, and then stands still. */
const HANGING = `
console.log(JSON.stringify({ level: 30, msg: 'ready', pid: process.pid }));
new (require('node:net').Socket)({ fd: Number(process.env.KITH_PARENT_FD) }).write('.', () => {
  for (;;);
});
`;
/** The same, in a lock that nobody gives back. */
const LOCKED = `
console.log(JSON.stringify({ level: 30, msg: 'ready', pid: process.pid }));
new (require('node:net').Socket)({ fd: Number(process.env.KITH_PARENT_FD) }).write('.', () => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
`;
/** The same as the good one, and says when there is news: two that came together are two. */
const ATTENTIVE = GOOD.replace(
  '.resume()',
  ".on('data', (dots) => { for (const _ of dots) console.log(JSON.stringify({ level: 30, msg: 'news' })); })",
);
const DYING = `
console.log(JSON.stringify({ level: 50, msg: 'no /dev/net/tun' }));
console.log(JSON.stringify({ level: 30, msg: 'bye' }));
process.exitCode = 1;
`;
const CRASHING = `throw new TypeError('it broke')`;

let dir = '';
let supervisor: Supervisor | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kith-supervisor-'));
});
afterEach(async () => {
  await supervisor?.stop();
  supervisor = undefined;
  rmSync(dir, { recursive: true });
});

function writeConfig(): string {
  const file = join(dir, 'demo.json');
  const config = {
    xmpp: { jid: 'a@b.test', password: 'p' },
    network: { ip4: '10.0.0.1/24' },
    process: { state_dir: 'state', runtime_dir: 'run' },
  };
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

function child(name: string, script: string): ChildSpec {
  const main = join(dir, `${name}.cjs`);
  writeFileSync(main, script);
  return { name, main, document: `document of ${name}` };
}

function start(children: ChildSpec[], onDeath: (death: Death) => void = () => {}): Supervisor {
  const options: SupervisorOptions = { foreground: false, onDeath, children: () => children };
  supervisor = Supervisor.start(writeConfig(), options);
  return supervisor;
}

interface Entry {
  msg: string;
  pid?: number;
  document?: string;
  secret?: string;
}

function logged(msg: string): Entry[] {
  const lines = readFileSync(join(dir, 'run', 'kith.log'), 'utf8')
    .trimEnd()
    .split('\n');
  return lines
    .filter((line) => line !== '')
    .map((line): Entry => JSON.parse(line))
    .filter((entry) => entry.msg === msg);
}

/** Waits until as many children said that they are ready, and gives their lines. */
function ready(count: number): Promise<Entry[]> {
  return vi.waitUntil(() => (logged('ready').length >= count ? logged('ready') : undefined), {
    timeout: 20_000,
  });
}

test('gives each child its start document, and nothing of the environment that it does not need', async () => {
  process.env.KITH_TEST_SECRET = 'hunter2';
  start([child('tincan', GOOD), child('controller', GOOD)]);
  const entries = await ready(2);
  delete process.env.KITH_TEST_SECRET;
  expect(entries.map((entry) => entry.document).sort()).toEqual([
    'document of controller',
    'document of tincan',
  ]);
  expect(entries.map((entry) => entry.secret)).toEqual([undefined, undefined]);
});

test('a child that is killed is started again', async () => {
  const deaths: Death[] = [];
  start([child('tincan', GOOD)], (death) => deaths.push(death));
  const [first] = await ready(1);
  process.kill(first?.pid ?? 0, 'SIGKILL');
  const [, second] = await ready(2);
  expect(second?.pid).not.toBe(first?.pid);
  expect(deaths).toEqual([{ name: 'tincan', deaths: 1, reason: 'ended by SIGKILL' }]);
});

/** With the supervisor's looks in the test's hand; what it starts ends with the real clock again. */
async function withLooks(test: (look: () => void) => Promise<void>): Promise<void> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  try {
    await test(() => void vi.advanceTimersByTime(BEAT_MS));
    await supervisor?.stop();
  } finally {
    vi.useRealTimers();
  }
}

test('a child that stands still is ended and started again; one that never said that it lives is let be', () =>
  withLooks(async (look) => {
    const deaths: Death[] = [];
    start([child('tincan', HANGING), child('controller', GOOD)], (death) => deaths.push(death));
    await ready(2);
    await vi.waitUntil(
      () => {
        look();
        return deaths.length > 0;
      },
      { timeout: 20_000 },
    );
    expect(deaths).toEqual([
      { name: 'tincan', deaths: 1, reason: 'ended by SIGKILL: it stood still for 16 s' },
    ]);
  }));

test('a child that waits for the same lock at look after look is ended sooner', () =>
  withLooks(async (look) => {
    const deaths: Death[] = [];
    start([child('tincan', LOCKED)], (death) => deaths.push(death));
    const pid = (await ready(1))[0]?.pid ?? 0;
    let last: string | undefined;
    await vi.waitUntil(
      () => {
        const before = last;
        last = lockWait(pid);
        return last !== undefined && last === before;
      },
      { timeout: 20_000 },
    );
    // Whatever the waiting counted for, these are fewer than one that is only silent is given.
    for (let looks = 0; looks < 4; looks++) look();
    await vi.waitUntil(() => deaths.length > 0, { timeout: 20_000 });
    expect(deaths[0]?.reason).toBe('ended by SIGKILL: it waited for a lock that nobody gave back');
  }));

test("a child's last error is the reason of its death", async () => {
  const deaths: Death[] = [];
  start([child('tincan', DYING), child('controller', CRASHING)], (death) => deaths.push(death));
  await vi.waitUntil(() => new Set(deaths.map((death) => death.name)).size === 2, { timeout: 20_000 });
  expect(deaths.find((death) => death.name === 'tincan')?.reason).toBe('ended with code 1: no /dev/net/tun');
  expect(deaths.find((death) => death.name === 'controller')?.reason).toBe(
    'ended with code 1: TypeError: it broke',
  );
});

test('a child that cannot be started is a death like any other', async () => {
  const deaths: Death[] = [];
  start([{ name: 'tincan', main: join(dir, 'gone.js'), document: '' }], (death) => deaths.push(death));
  await vi.waitUntil(() => deaths.length > 0, { timeout: 20_000 });
  expect(deaths[0]?.reason).toContain('Error: Cannot find module');
});

test('a second start is refused, and the first is not disturbed', async () => {
  const running = start([child('tincan', GOOD)]);
  await ready(1);
  const again = () =>
    Supervisor.start(join(dir, 'demo.json'), { foreground: false, onDeath: () => {}, children: () => [] });
  expect(again).toThrow('network demo runs already');
  expect(readPidFile(join(dir, 'run', 'supervisor.pid'))?.pid).toBe(process.pid);
  expect(running.config.name).toBe('demo');
});

test('the end takes both children and the runtime files, and leaves state and log', async () => {
  const running = start([child('tincan', GOOD), child('controller', GOOD)]);
  const pids = (await ready(2)).map((entry) => entry.pid ?? 0);
  writeFileSync(join(dir, 'run', 'api.secret'), 'x');
  expect(pids.map(startTimeOf)).not.toContain(undefined);
  await running.stop();
  expect(pids.map(startTimeOf)).toEqual([undefined, undefined]);
  expect(existsSync(join(dir, 'run', 'api.secret'))).toBe(false);
  expect(existsSync(join(dir, 'run', 'supervisor.pid'))).toBe(false);
  expect(existsSync(join(dir, 'run', 'kith.log'))).toBe(true);
  expect(existsSync(join(dir, 'state', 'controller'))).toBe(true);
});

test('a child is told when another has died and when it was started again', async () => {
  start([child('controller', ATTENTIVE), child('tincan', GOOD)]);
  const entries = await ready(2);
  const before = logged('news').length;
  const tincan = entries.find(({ document }) => document === 'document of tincan');
  process.kill(tincan?.pid ?? 0, 'SIGKILL');
  await vi.waitUntil(() => logged('news').length > before, { timeout: 20_000 });
  await ready(3);
  await vi.waitUntil(() => logged('news').length >= before + 2, { timeout: 20_000 });
});

test('a child that does not end is killed after 5 s', async () => {
  const running = start([
    child('tincan', `${GOOD}\nprocess.removeAllListeners('SIGTERM').on('SIGTERM', () => {});`),
  ]);
  const [entry] = await ready(1);
  await running.stop();
  expect(startTimeOf(entry?.pid ?? 0)).toBeUndefined();
});

test('children end when their supervisor is killed, and a new one can start', async () => {
  const config = writeConfig();
  const tincan = child('tincan', GOOD);
  const main = join(dir, 'main.mjs');
  const module = new URL('../dist/supervisor.js', import.meta.url).href;
  writeFileSync(
    main,
    `import { Supervisor } from ${JSON.stringify(module)};
     Supervisor.start(${JSON.stringify(config)}, { foreground: false, onDeath() {}, children: () => [${JSON.stringify(tincan)}] });`,
  );
  const other = spawn(process.execPath, [main], { stdio: 'inherit' });
  await vi.waitUntil(() => existsSync(join(dir, 'run', 'kith.log')), { timeout: 20_000 });
  const [entry] = await ready(1);
  expect(readPidFile(join(dir, 'run', 'supervisor.pid'))?.pid).toBe(other.pid);
  other.kill('SIGKILL');
  await once(other, 'exit');
  await vi.waitUntil(() => startTimeOf(entry?.pid ?? 0) === undefined, { timeout: 20_000 });
  expect(readPidFile(join(dir, 'run', 'supervisor.pid'))).toBeUndefined();
  start([tincan]);
  await ready(2);
});

test('directories have the modes of their users', () => {
  start([]);
  const modeOf = (path: string) => (statSync(join(dir, path)).mode & 0o777).toString(8);
  expect(['state', 'run', 'state/controller', 'run/controller'].map(modeOf)).toEqual([
    '755',
    '755',
    '700',
    '700',
  ]);
});

test('a directory where others may put things is refused, and so is a link in its place', () => {
  mkdirSync(join(dir, 'state'));
  const open = join(dir, 'open');
  mkdirSync(open);
  symlinkSync(open, join(dir, 'run'));
  expect(() => start([])).toThrow(`cannot use the directory ${join(dir, 'run')}`);
  rmSync(join(dir, 'run'));
  mkdirSync(join(dir, 'run'));
  rmSync(join(dir, 'state'), { recursive: true });
  const before = process.umask(0);
  mkdirSync(join(dir, 'state'), { mode: 0o777 });
  process.umask(before);
  expect(() => start([])).toThrow('others may write there; mend it with: chown root');
  expect(statSync(join(dir, 'state')).mode & 0o777).toBe(0o777);
});
