import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type StatusReport, statusReport } from '@kith/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { configPath } from './config-path.ts';
import { PidFile } from './pid-file.ts';
import { runKith } from './program.ts';
import { requestStatus } from './status-client.ts';

let dir = '';
let file = '';
let server: Server | undefined;
const connections = new Set<Socket>();

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kith-cli-'));
  file = join(dir, 'demo.json');
  const config = {
    xmpp: { jid: 'alice@vpn.test', password: 's3cret' },
    network: { ip4: '172.31.0.1/24' },
    process: { runtime_dir: 'run' },
  };
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
});
afterEach(async () => {
  for (const connection of connections) connection.destroy();
  connections.clear();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
  rmSync(dir, { recursive: true });
});

async function kith(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const written = { out: '', err: '' };
  const code = await runKith(args, {
    out: (text) => {
      written.out += text;
    },
    err: (text) => {
      written.err += text;
    },
  });
  return { code, out: written.out.replaceAll(dir, '.'), err: written.err.replaceAll(dir, '.') };
}

/** A controller that answers each line with `answer`, or hangs. */
async function controller(answer: string | undefined): Promise<string> {
  const path = join(dir, 'run', 'controller', 'status.sock');
  mkdirSync(join(dir, 'run', 'controller'), { recursive: true });
  const listening = createServer((socket) => {
    connections.add(socket);
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    socket.on('data', (text: string) => {
      if (answer !== undefined && text === '{"m":"status"}\n') socket.end(answer);
    });
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(path, resolve));
  return path;
}

const REPORT: StatusReport = {
  schema: 1,
  network: 'demo',
  node: {
    uid: 'a'.repeat(40),
    jid: 'alice@vpn.test',
    ip4: '172.31.0.1/24',
    mac: null,
    controller_uptime_ms: 5,
  },
  hub: { state: 'online', server: 'xmpp://vpn.test:5222', since_ms: 5, detail: null, retry_in_ms: null },
  tincan: { running: true, instance: 'a1', detail: null },
  tap: null,
  members: 1,
  links: [],
  counters: {},
};

test('status asks the controller', async () => {
  await controller(`${JSON.stringify(REPORT)}\n`);
  const text = await kith('status', '-c', file);
  expect(text).toMatchObject({ code: 0, err: '' });
  expect(text.out).toContain('network demo, alice@vpn.test, 172.31.0.1/24');
  const json = await kith('status', '-c', file, '--json');
  expect(json.code).toBe(0);
  expect(JSON.parse(json.out)).toEqual(REPORT);
});

test('status of a network whose tincan is dead is degraded, in text and in JSON', async () => {
  await controller(
    `${JSON.stringify({ ...REPORT, tincan: { running: false, instance: null, detail: 'no answer' } })}\n`,
  );
  expect(await kith('status', '-c', file)).toMatchObject({ code: 5 });
  expect(await kith('status', '-c', file, '--json')).toMatchObject({ code: 5 });
});

test('status of a network that does not run says so, in text and in JSON', async () => {
  expect(await kith('status', '-c', file)).toEqual({ code: 3, out: 'network demo does not run\n', err: '' });
  const json = await kith('status', '-c', file, '--json');
  expect(json.code).toBe(3);
  expect(statusReport.parse(JSON.parse(json.out))).toMatchObject({
    network: 'demo',
    tincan: { running: false },
  });
});

test('status with a dead controller says what is known and that it is degraded', async () => {
  mkdirSync(join(dir, 'run'));
  const supervisor = PidFile.take(join(dir, 'run', 'supervisor.pid'));
  const text = await kith('status', '-c', file);
  expect(text.code).toBe(5);
  expect(text.out).toContain('network demo, alice@vpn.test, 172.31.0.1\n');
  expect(text.out).toContain(
    'the controller does not answer: no controller listens on ./run/controller/status.sock',
  );
  const json = await kith('status', '-c', file, '--json');
  expect(json.code).toBe(5);
  expect(statusReport.parse(JSON.parse(json.out)).hub.state).toBe('stopped');
  supervisor?.release();
});

test('a controller that hangs, breaks off or talks nonsense is told apart', async () => {
  const silent = await controller(undefined);
  await expect(requestStatus(silent, 50)).rejects.toMatchObject({ code: 'STATUS_SILENT' });
  server?.close();
  for (const connection of connections) connection.destroy();
  const broken = await controller('{"schema":2}\n');
  await expect(requestStatus(broken)).rejects.toMatchObject({ code: 'STATUS_BROKEN' });
  server?.close();
  const cut = await controller('{"schema"');
  await expect(requestStatus(cut)).rejects.toMatchObject({ code: 'STATUS_BROKEN' });
  await expect(requestStatus(join(dir, 'gone'))).rejects.toMatchObject({ code: 'STATUS_ABSENT' });
});

test('down of a network that does not run ends with 3', async () => {
  expect(await kith('down', '-c', file)).toEqual({
    code: 3,
    out: '',
    err: 'kith: network demo does not run\n',
  });
});

test('config check tells a right config from a wrong one', async () => {
  expect(await kith('config', 'check', file)).toEqual({
    code: 0,
    out: './demo.json is right: network demo, alice@vpn.test at xmpp://vpn.test:5222, 172.31.0.1/24 on kith-demo\n',
    err: '',
  });
  writeFileSync(file, '{"xmpp": {"jid": "alice", "password": "s3cret"}, "netwrk": {}}');
  expect(await kith('config', 'check', '-c', file)).toEqual({
    code: 2,
    out: '',
    err: [
      'kith: ./demo.json has 3 problems:',
      '  xmpp.jid: is "alice"; expected a bare JID, like "alice@example.org"',
      '  network: is missing; expected an object with "ip4"',
      '  netwrk: is not a key of a Kith config; did you mean "network"?',
      '',
    ].join('\n'),
  });
});

test('up with a wrong config does not get as far as asking for root', async () => {
  writeFileSync(file, '{');
  expect(await kith('up', '-c', file)).toMatchObject({ code: 2, out: '' });
});

test('config convert prints the native form on stdout and notices on stderr', async () => {
  const flat = {
    ip4: '172.31.0.1',
    ip4_mask: 24,
    xmpp_username: 'a@vpn.test',
    xmpp_password: 'p',
    sec: false,
  };
  writeFileSync(file, JSON.stringify(flat));
  const { code, out, err } = await kith('config', 'convert', file);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toEqual({
    xmpp: { jid: 'a@vpn.test', password: 'p' },
    network: { ip4: '172.31.0.1/24', layer: 3 },
    security: { mode: 'never' },
  });
  expect(err).toBe('kith: notice: sec is false: links are encrypted only when the other end insists\n');
});

test('version tells itself in both forms', async () => {
  expect((await kith('version')).out).toMatch(/^kith \d+\.\d+\.\d+ \(Node\.js v\d+/);
  expect(JSON.parse((await kith('version', '--json')).out)).toMatchObject({
    schema: 1,
    node: process.version,
  });
});

test('a command line that is none ends with 2 and says why; help ends with 0 and explains the codes', async () => {
  expect(await kith('frobnicate')).toMatchObject({ code: 2, out: '' });
  expect((await kith('statsu')).err).toContain('Did you mean status?');
  expect((await kith('status', '--jsn')).err).toContain('Did you mean --json?');
  expect(await kith()).toMatchObject({ code: 2 });
  const help = await kith('--help');
  expect(help.code).toBe(0);
  expect(help.out).toContain('3  the network does not run');
});

test('finds the config that is meant, or says why it cannot', () => {
  expect(configPath('a.json', { KITH_CONFIG: 'b.json' })).toBe('a.json');
  expect(configPath(undefined, { KITH_CONFIG: 'b.json' })).toBe('b.json');
  expect(configPath(undefined, {}, dir)).toBe(file);
  writeFileSync(join(dir, 'second.json'), '');
  expect(() => configPath(undefined, {}, dir)).toThrow('which config?');
  expect(() => configPath(undefined, {}, join(dir, 'gone'))).toThrow('there is none in');
});
