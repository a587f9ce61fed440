import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TrustAnswer, type TrustRefusal, trustAnswer, trustQuestion } from '@kith/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runKith } from './program.ts';

const uid = 'ab'.repeat(20);
const ANSWER: TrustAnswer = {
  ...{ schema: 1, mode: 'first-use' },
  self: { name: 'me@x', uid: 'cd'.repeat(20), fingerprint: null },
  nodes: [{ name: 'bob@x', uid, trust: 'pinned', fingerprint: null, since: null, code: null }],
};

let directory: string;
let server: Server | undefined;
let asked: unknown[];
beforeEach(() => {
  asked = [];
  directory = mkdtempSync(join(tmpdir(), 'kith-cli-trust-'));
  const config = {
    xmpp: { jid: 'me@x', password: 'p' },
    network: { ip4: '172.31.0.1/24' },
    process: { runtime_dir: 'run' },
  };
  writeFileSync(join(directory, 'demo.json'), JSON.stringify(config), { mode: 0o600 });
});
afterEach(async () => {
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
  rmSync(directory, { recursive: true });
});

async function controller(answer: TrustAnswer | TrustRefusal): Promise<void> {
  mkdirSync(join(directory, 'run', 'controller'), { recursive: true });
  const listening = createServer((socket) => {
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      asked.push(trustQuestion.parse(JSON.parse(text)));
      socket.end(`${JSON.stringify(answer)}\n`);
    });
  });
  server = listening;
  await new Promise<void>((resolve) => {
    listening.listen(join(directory, 'run', 'controller', 'status.sock'), resolve);
  });
}

async function trust(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const code = await runKith(['trust', ...args, '-c', join(directory, 'demo.json')], {
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
  });
  return { code, ...said };
}

test('each command asks the controller its question, and ends with 0', async () => {
  await controller(ANSWER);
  const upper = uid.toUpperCase();
  for (const args of [
    ['list'],
    ['accept', 'bob'],
    ['accept', 'bob', upper],
    ['forget', 'bob@x', uid],
    ['verify', 'bob'],
    ['verify', 'bob', '--fingerprint'],
    ['verify', 'bob', '--confirm'],
  ]) {
    expect(await trust(...args)).toMatchObject({ code: 0, err: '' });
  }
  expect(asked).toEqual([
    { m: 'trust', do: 'list' },
    { m: 'trust', do: 'accept', name: 'bob' },
    { m: 'trust', do: 'accept', name: 'bob', uid },
    { m: 'trust', do: 'forget', name: 'bob@x', uid },
    { m: 'trust', do: 'verify', name: 'bob', confirm: false },
    { m: 'trust', do: 'verify', name: 'bob', confirm: false },
    { m: 'trust', do: 'verify', name: 'bob', confirm: true },
  ]);
});

test('--json prints the answer as it is, on one line', async () => {
  await controller(ANSWER);
  const { out } = await trust('list', '--json');
  expect(trustAnswer.parse(JSON.parse(out))).toEqual(ANSWER);
  expect(out.indexOf('\n')).toBe(out.length - 1);
});

test.each([
  ['TRUST_NOTHING', 1],
  ['TRUST_NAME', 2],
])('a controller that says %s ends it with %i and its words', async (code, exit) => {
  await controller({ error: 'because', code });
  expect(await trust('accept', 'bob')).toEqual({ code: exit, out: '', err: 'kith: because\n' });
});

test('without a network it ends with 3; what is no UID, or no name at all, with 2', async () => {
  expect(await trust('list')).toEqual({ code: 3, out: '', err: 'kith: network demo does not run\n' });
  expect(await trust('accept', 'bob', uid.slice(1))).toMatchObject({
    code: 2,
    err: expect.stringContaining('all 40 hex digits'),
  });
  expect((await trust('accept')).code).toBe(2);
});
