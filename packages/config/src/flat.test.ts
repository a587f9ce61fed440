import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConfigProblems, convertFlat, loadConfig } from './index.ts';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'kith-flat-'));
});
afterAll(() => {
  rmSync(dir, { recursive: true });
});

function write(value: unknown, mode = 0o600): string {
  const file = join(dir, 'net.json');
  rmSync(file, { force: true });
  writeFileSync(file, JSON.stringify(value), { mode });
  return file;
}

/** The config of the paper's Appendix A. */
const PAPER = {
  ip4: '172.31.0.1',
  ip4_mask: 24,
  xmpp_username: 'node1',
  xmpp_password: 'pw',
  xmpp_host: '192.0.2.10',
  sec: false,
  group: 'test',
  tincan_logging: 0,
  controller_logging: 'DEBUG',
  'on-demand_connection': false,
  stat_report: false,
  switchmode: 1,
};

test("the paper's config works as it is", () => {
  const { config, form, notices } = loadConfig(write(PAPER), {});
  expect({ form, notices }).toEqual({ form: 'flat', notices: [] });
  expect(config).toMatchObject({
    name: 'net',
    xmpp: { jid: 'node1@192.0.2.10', password: 'pw', server: 'xmpp://192.0.2.10:5222' },
    network: { ip4: { address: '172.31.0.1', prefix_length: 24 }, layer: 2, links: { when: 'proactive' } },
    security: { mode: 'groups', groups: ['test'], without_common_group: 'plain' },
    log: { tincan_level: 'error', controller_level: 'debug' },
  });
});

test('converts to the native form', () => {
  expect(
    convertFlat({
      ...PAPER,
      xmpp_username: 'a@vpn.test',
      xmpp_host: 'hub.test:15222',
      group: ' net1, ,net2,net1 ',
      stun: ['stun.test:19302'],
      turn: [{ server: 'turn.test:3478', user: 'u', pass: 'p' }],
      svpn_port: 5900,
    }),
  ).toEqual({
    native: {
      xmpp: { jid: 'a@vpn.test', password: 'pw', server: 'xmpp://hub.test:15222' },
      network: { ip4: '172.31.0.1/24', layer: 2 },
      security: { mode: 'groups', groups: ['net1', 'net2'] },
      ice: { stun: ['stun.test:19302'], turn: [{ server: 'turn.test:3478', username: 'u', password: 'p' }] },
      api: { port: 5900 },
      log: { controller_level: 'debug', tincan_level: 'error' },
    },
    notices: [],
  });
});

test('without groups, sec decides', () => {
  const { group: _, ...without } = PAPER;
  const modeOf = (flat: object) => convertFlat(flat).native.security?.mode;
  expect(modeOf(without)).toBe('never');
  expect(modeOf({ ...without, sec: true })).toBe('always');
  expect(modeOf({ ...without, group: ' , ', sec: 1 })).toBe('always');
  const { sec: __, ...unsaid } = without;
  expect(modeOf(unsaid)).toBe('always');
});

test('says what is taken otherwise than IPOP did', () => {
  const { ip4: _, ...rest } = PAPER;
  const flat = {
    ...rest,
    sec: true,
    switchmode: 0,
    'on-demand_connection': true,
    stat_report: true,
    icc: true,
  };
  expect(convertFlat(flat).notices).toEqual([
    'group is set, so it decides, not sec: links to members without a common security group are not encrypted; set security.mode to "always" to encrypt every link',
    "ip4 is left out: IPOP's default 172.16.0.1 is used; no two nodes may have the same",
    'stat_report is true: nothing is reported all the same; Kith never reports to anyone',
    'icc has no meaning here: controllers do not talk over links',
  ]);
});

test('switch mode and on-demand links are what IPOP means by them', () => {
  const network = (flat: object) => convertFlat({ ...PAPER, ...flat }).native.network;
  expect(network({ switchmode: 0 })).toEqual({ ip4: '172.31.0.1/24', layer: 3 });
  const { switchmode: _, ...unsaid } = PAPER;
  expect(convertFlat(unsaid).native.network.layer).toBe(3);
  expect(network({ 'on-demand_connection': 1, 'on-demand_inactive_timeout': 60 })).toMatchObject({
    links: { when: 'on-demand', idle_s: 60 },
  });
  expect(network({ 'on-demand_connection': false })).not.toHaveProperty('links');
});

test("problems are named by the flat file's own keys", () => {
  const load = (flat: object, mode?: number) => () => loadConfig(write({ ...PAPER, ...flat }, mode), {});
  expect(load({ ip4: '172.31.0.255' })).toThrow(
    'ip4 and ip4_mask: is "172.31.0.255/24"; expected a host address',
  );
  expect(load({ xmpp_username: 'a@b@c' })).toThrow('xmpp_username: is "a@b@c"; expected a bare JID');
  expect(load({ xmpp_host: 'a b' })).toThrow('xmpp_host: is not a host name or address');
  expect(load({ swichmode: 1 })).toThrow(
    'swichmode: is not a key of a Kith config; did you mean "switchmode"?',
  );
  expect(load({ tincan_logging: 4 })).toThrow('tincan_logging: is 4; expected a whole number from 0 to 3');
  expect(load({ sec: 'no' })).toThrow('sec: is "no"; expected true or false (or 1 or 0)');
  expect(load({ stun: ['http://x'] })).toThrow('stun[0]: is "http://x"; expected "host:port"');
  expect(load({}, 0o644)).toThrow('chmod 600');
});

test('a flat key beside native groups is an error, not a change of form', () => {
  const native = { xmpp: { jid: 'a@b.test', password: 'p' }, network: { ip4: '10.0.0.1/24' } };
  expect(() => loadConfig(write({ ...native, sec: false, ip4: '10.0.0.1' }), {})).toThrow(
    'ip4: is not a key of a Kith config; did you mean "network.ip4"?',
  );
});

test('a converted file means the same as the flat one', () => {
  const level = fc.constantFrom('CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG', 'PKTDUMP');
  const flag = fc.constantFrom(true, false, 0, 1);
  const word = fc.stringMatching(/^[a-z0-9 ,]{0,20}$/);
  const endpoint = fc
    .tuple(fc.domain(), fc.integer({ min: 1, max: 65_535 }))
    .map(([host, port]) => `${host}:${port}`);
  const flat = fc.record(
    {
      ip4: fc.integer({ min: 1, max: 254 }).map((last) => `10.1.2.${last}`),
      ip4_mask: fc.integer({ min: 8, max: 24 }),
      xmpp_username: fc.constantFrom('node1', 'a@vpn.test'),
      xmpp_password: fc.string({ minLength: 1, maxLength: 20 }),
      // A hub inside the network that it makes is a problem of its own.
      xmpp_host: fc.oneof(
        fc.domain(),
        fc.ipV4().filter((ip) => !ip.startsWith('10.')),
      ),
      sec: flag,
      group: word,
      stun: fc.array(endpoint, { maxLength: 3 }),
      turn: fc.array(fc.record({ server: endpoint, user: fc.constant('u'), pass: fc.constant('p') }), {
        maxLength: 2,
      }),
      svpn_port: fc.integer({ min: 1, max: 65_535 }),
      switchmode: flag,
      'on-demand_connection': flag,
      'on-demand_inactive_timeout': fc.integer({ min: 10, max: 86_400 }),
      tincan_logging: fc.integer({ min: 0, max: 3 }),
      controller_logging: level,
      stat_report: flag,
      wait_time: fc.integer(),
    },
    { requiredKeys: ['ip4', 'ip4_mask', 'xmpp_username', 'xmpp_password', 'xmpp_host'] },
  );
  fc.assert(
    fc.property(flat, (written) => {
      const direct = loadConfig(write(written), {}).config;
      const { native } = convertFlat(written);
      const again = loadConfig(write(native), {});
      expect(again.form).toBe('native');
      expect(again.config).toEqual(direct);
    }),
    { numRuns: 100 },
  );
});

test('anything else is refused with problems', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(() => convertFlat(value)).toThrow(ConfigProblems);
    }),
  );
});
