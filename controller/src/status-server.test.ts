import { mkdtemp, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, createLogger } from '@kith/base';
import type { StatusReport, TrustAnswer, TrustQuestion } from '@kith/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StatusServer } from './status-server.ts';

const REPORT: StatusReport = {
  ...{ schema: 1, network: 'demo', tap: null, members: null, links: [], counters: {} },
  node: { uid: null, jid: 'me@x', ip4: null, mac: null, controller_uptime_ms: 0 },
  hub: { state: 'online', server: 's', since_ms: 0, detail: null, retry_in_ms: null },
  tincan: { running: true, instance: null, detail: null },
};
const ANSWER: TrustAnswer = {
  ...{ schema: 1, mode: 'strict', nodes: [] },
  self: { name: 'me@x', uid: null, fingerprint: null },
};

let directory: string;
let path: string;
let server: StatusServer;
let asked: TrustQuestion[];
let eventsOf: (string | undefined)[];
beforeEach(async () => {
  asked = [];
  eventsOf = [];
  directory = await mkdtemp(join(tmpdir(), 'kith-status-'));
  path = join(directory, 'controller', 'status.sock');
  const answerer = {
    status: async (name?: string) => {
      eventsOf.push(name);
      return REPORT;
    },
    trustCommands: {
      run: async (question: TrustQuestion) => {
        asked.push(question);
        if (question.do === 'accept') throw new ConfigError('TRUST_WHICH', 'which one?', { field: 'uid' });
        return ANSWER;
      },
    },
  };
  server = await StatusServer.listen(path, answerer, createLogger('test', 'silent'));
});
afterEach(async () => {
  server.close();
  await rm(directory, { recursive: true });
});

function ask(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const socket = connect(path, () => socket.write(text));
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => {
      said += part;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(said));
  });
}

test('answers what it is asked in one line, to its owner alone', async () => {
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(JSON.parse(await ask('{"m":"status"}\n'))).toEqual(REPORT);
  expect(JSON.parse(await ask('{"m":"trust","do":"list"}\n'))).toEqual(ANSWER);
  expect(asked).toEqual([{ m: 'trust', do: 'list' }]);
});

test('what cannot be done is answered with its code, words and field', async () => {
  expect(JSON.parse(await ask('{"m":"trust","do":"accept","name":"bob"}\n'))).toEqual({
    ...{ error: 'which one?', code: 'TRUST_WHICH', field: 'uid' },
  });
});

test.each([
  ['no JSON', 'hello\n'],
  ['nothing that is known', '{"m":"trim_link"}\n'],
  ['no command of trust', '{"m":"trust","do":"reset"}\n'],
  ['something that is no UID', '{"m":"trust","do":"forget","name":"bob","uid":"1"}\n'],
  ['more than the question', '{"m":"trust","do":"list","name":"bob"}\n'],
])('a question that is %s is an error, and nothing is done', async (_what, text) => {
  expect(JSON.parse(await ask(text))).toMatchObject({ code: 'STATUS_QUESTION', error: expect.any(String) });
  expect(asked).toEqual([]);
});

test('whoever sends more than a question is cut off', async () => {
  expect(await ask('x'.repeat(100_000)).catch(() => '')).toBe('');
});

test('a status question may name whose events it wants; a name that none can have is none', async () => {
  await ask('{"m":"status"}\n');
  await ask('{"m":"status","events":"bob"}\n');
  await ask('{"m":"status","events":7}\n');
  expect(eventsOf).toEqual([undefined, 'bob', undefined]);
});
