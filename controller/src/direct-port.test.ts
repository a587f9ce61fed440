import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, SystemError } from '@kith/base';
import { PCP_NONCE_BYTES } from '@kith/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DirectPort, type DirectPortParts } from './direct-port.ts';

const HOME = { interface: 'eth0', gateway: '192.168.1.1', localIp: '192.168.1.7' };
const PORT = 5_801;

let directory: string;
let secretFile: string;
/** The port of tincan's socket; null: it has none; an error: tincan is not there. */
let tincanPort: number | null | Error;
/** What tincan was told, newest last. */
let told: unknown[];
let isDeaf: boolean;
let asked: { port: number; nonce: string; description: string }[];
let released: number;
let open: DirectPort[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kith-direct-port-'));
  secretFile = join(directory, 'secret');
  await writeFile(secretFile, 'a secret');
  [tincanPort, told, isDeaf, asked, released, open] = [PORT, [], false, [], 0, []];
});

afterEach(async () => {
  for (const port of open) await port.stop();
  await rm(directory, { recursive: true });
});

function make(direct: Partial<DirectPortParts['config']['direct']> = {}): DirectPort {
  const tincan: DirectPortParts['tincan'] = {
    call: async (method, parameters) => {
      if (isDeaf) throw new SystemError('TINCAN_AWAY', 'not there');
      told.push([method, parameters]);
      return [];
    },
    getState: async () => {
      if (tincanPort instanceof Error) throw tincanPort;
      return { local: { direct_port: tincanPort } };
    },
  };
  const config: DirectPortParts['config'] = {
    name: 'friends',
    direct: { enabled: true, port_mapping: 'auto', ...direct },
  };
  const port = new DirectPort(
    { config, secretFile, tincan, log: createLogger('test', 'silent') },
    {
      readNetwork: () => HOME,
      search: async ({ port: wanted }, nonce, description) => {
        asked.push({ port: wanted, nonce: Buffer.from(nonce).toString('hex'), description });
        return {
          ...{ by: 'pcp' as const, ip: '203.0.113.5', port: 40_000, lifetimeMs: 3_600_000 },
          renew: () => Promise.reject(new Error('not before ten minutes')),
          release: async () => void released++,
        };
      },
    },
  );
  open.push(port);
  return port;
}

const MAPPED = ['set_mapped_address', { mapped: { ip4: '203.0.113.5', port: 40_000 } }];

test("the router maps the port of tincan's socket, tincan is told where that leads, and it is taken back at the end", async () => {
  const port = make();
  await port.tincanReady();
  await vi.waitFor(() => expect(told).toEqual([MAPPED]));
  expect(asked).toMatchObject([{ port: PORT, description: 'kith friends' }]);
  expect(port.status).toMatchObject({ state: 'mapped', address: '203.0.113.5:40000', by: 'pcp' });
  await port.stop();
  expect(released).toBe(1);
});

test('a tincan that was started anew hears of the mapping without another question to the router', async () => {
  const port = make();
  await port.tincanReady();
  await vi.waitFor(() => expect(told).toHaveLength(1));
  await port.tincanReady();
  await vi.waitFor(() => expect(told).toEqual([MAPPED, MAPPED]));
  expect(asked).toHaveLength(1);
});

test('the nonce that a router knows us by is the same after a restart, and another for another secret', async () => {
  await make().tincanReady();
  await make().tincanReady();
  await vi.waitFor(() => expect(asked).toHaveLength(2));
  await writeFile(secretFile, 'another secret');
  await make().tincanReady();
  await vi.waitFor(() => expect(asked).toHaveLength(3));
  const [one, two, three] = asked.map(({ nonce }) => nonce);
  expect(one).toHaveLength(2 * PCP_NONCE_BYTES);
  expect(two).toBe(one);
  expect(three).not.toBe(one);
});

test.each([
  [{ port_mapping: 'off' as const }, 'direct.port_mapping is "off"'],
  [{ enabled: false }, 'direct.enabled is false'],
])('switched off by %o no router is asked, and the status says by what', async (direct, detail) => {
  const port = make(direct);
  await port.tincanReady();
  expect(asked).toEqual([]);
  expect(port.status).toEqual({ state: 'off', address: null, by: null, detail });
});

test('a tincan without a direct socket, or one that is gone again, is no reason to ask', async () => {
  tincanPort = null;
  const port = make();
  await port.tincanReady();
  tincanPort = new SystemError('TINCAN_AWAY', 'not there');
  await port.tincanReady();
  expect([asked, port.status.state]).toEqual([[], 'off']);
});

test('that tincan cannot be told is no failure: the next one is', async () => {
  isDeaf = true;
  const port = make();
  await port.tincanReady();
  await vi.waitFor(() => expect(port.status.state).toBe('mapped'));
  isDeaf = false;
  await port.tincanReady();
  await vi.waitFor(() => expect(told).toEqual([MAPPED]));
});

test('without the secret, which the nonce comes from, no router is asked, and the status says so', async () => {
  await rm(secretFile);
  const port = make();
  await port.tincanReady();
  await vi.waitFor(() =>
    expect(port.status).toMatchObject({ state: 'none', detail: expect.stringContaining('ENOENT') }),
  );
  expect(asked).toEqual([]);
});
