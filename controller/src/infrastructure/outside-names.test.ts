import { createLogger } from '@kith/base';
import { beforeEach, expect, test } from 'vitest';
import { type NetworkRange, OutsideNames, type ResolverSystem } from './outside-names.ts';
import { outsideServers } from './outside-servers.ts';

const HUB = 'hub.example.org';
const OUT = '198.51.100.7';

let resolvConf: string;
let hosts: string;
/** What the machine's resolver says. */
let answer: string[] | Error;
/** Name servers that were asked past it. */
let queried: string[][];
let lookups: number;
/** Addresses that routes lead into the network for. */
let routedInside: Set<string>;
let names: OutsideNames;

const range: NetworkRange = {
  contains: (ip) => ip.startsWith('172.31.') || ip.startsWith('fd00:'),
  isOwn: (ip) => ip === '172.31.0.1',
};

beforeEach(() => {
  [resolvConf, hosts, answer] = ['nameserver 192.168.1.1\n', '', [OUT]];
  [queried, lookups, routedInside] = [[], 0, new Set()];
  const system: ResolverSystem = {
    resolvConf: () => resolvConf,
    hosts: () => hosts,
    lookup: async () => {
      lookups++;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    query: async (servers) => {
      queried.push([...servers]);
      return [OUT];
    },
    sourceOf: async (ip) => (routedInside.has(ip) ? '172.31.0.1' : '192.168.1.5'),
  };
  names = new OutsideNames(system, range);
});

test("usually the machine's resolver is asked", async () => {
  expect(await names.resolve(HUB)).toEqual([OUT]);
  expect([lookups, queried]).toEqual([1, []]);
});

test('a name server inside the network is never asked: another is, or nobody', async () => {
  resolvConf = 'nameserver 172.31.0.53\nnameserver 192.168.1.1\n';
  expect(await names.resolve(HUB)).toEqual([OUT]);
  expect([lookups, queried]).toEqual([0, [['192.168.1.1']]]);
  resolvConf = 'nameserver 172.31.0.53\n';
  await expect(names.resolve('other.example.org')).rejects.toMatchObject({
    code: 'NAMES_IN_NETWORK',
    message: expect.stringContaining('172.31.0.53'),
  });
  expect([lookups, queried.length]).toEqual([0, 1]);
});

test('nor one that is outside but routed through the network', async () => {
  routedInside.add('192.168.1.1');
  await expect(names.resolve(HUB)).rejects.toMatchObject({ code: 'NAMES_IN_NETWORK' });
  expect(lookups).toBe(0);
});

test('/etc/hosts counts before name servers', async () => {
  resolvConf = 'nameserver 172.31.0.53\n';
  hosts = `${OUT} ${HUB}\n`;
  expect(await names.resolve(HUB)).toEqual([OUT]);
  expect([lookups, queried]).toEqual([0, []]);
});

test('an address that lies in the network is not given, nor one that is routed into it', async () => {
  answer = ['172.31.0.9', OUT, 'fd00::1'];
  expect(await names.resolve(HUB)).toEqual([OUT]);
  answer = ['172.31.0.9'];
  await expect(names.resolve(HUB)).rejects.toMatchObject({
    code: 'ADDRESS_IN_NETWORK',
    message: expect.stringContaining(`${HUB} (172.31.0.9)`),
  });
  await expect(names.resolve('172.31.0.9')).rejects.toMatchObject({ code: 'ADDRESS_IN_NETWORK' });
  routedInside.add(OUT);
  await expect(names.resolve(OUT)).rejects.toMatchObject({ code: 'ADDRESS_IN_NETWORK' });
});

test('where nobody can say now, the last addresses stand, if they still lead outside', async () => {
  await names.resolve(HUB);
  resolvConf = 'nameserver 172.31.0.53\n';
  expect(await names.resolve(HUB)).toEqual([OUT]);
  routedInside.add(OUT);
  await expect(names.resolve(HUB)).rejects.toMatchObject({ code: 'ADDRESS_IN_NETWORK' });
});

test('a name that nobody knows fails as the resolver says', async () => {
  answer = new Error('getaddrinfo ENOTFOUND');
  await expect(names.resolve(HUB)).rejects.toThrow('ENOTFOUND');
});

test('tincan is given servers by address, one of each family, and none inside the network', async () => {
  const log = createLogger('test', 'silent');
  answer = ['2001:db8::7', OUT, '198.51.100.8'];
  const stun = { type: 'stun' as const, host: HUB, port: 3_478 };
  const inside = { ...stun, host: '172.31.0.9' };
  expect(await outsideServers([stun, inside], names, log)).toEqual([
    { ...stun, host: OUT },
    { ...stun, host: '2001:db8::7' },
  ]);
});

test('a TURN server by TLS keeps its name, unless that would be resolved inside', async () => {
  const log = createLogger('test', 'silent');
  const turns = { type: 'turn' as const, host: HUB, port: 443, transport: 'tls' as const };
  expect(await outsideServers([turns], names, log)).toEqual([turns]);
  resolvConf = 'nameserver 172.31.0.53\nnameserver 192.168.1.1\n';
  expect(await outsideServers([turns], names, log)).toEqual([]);
});
