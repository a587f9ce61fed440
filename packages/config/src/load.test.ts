import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '@kith/base';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  controllerStart,
  loadConfig,
  locateNetwork,
  parseControllerStart,
  parseTincanStart,
  tincanStart,
} from './index.ts';
import { interfaceOf, nameOf } from './resolve.ts';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'kith-config-'));
});
afterAll(() => {
  rmSync(dir, { recursive: true });
});

function write(value: unknown, mode = 0o600, name = 'demo.json'): string {
  const file = join(dir, name);
  writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
  chmodSync(file, mode);
  return file;
}

/** The error of loading `value`, its directory cut out so that messages can be compared whole. */
function refusal(value: unknown, mode = 0o600): { code: string; message: string; field: string | undefined } {
  const file = write(value, mode);
  try {
    loadConfig(file, {});
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { code: error.code, message: error.message.replaceAll(dir, '.'), field: error.field };
  }
  throw new Error('was accepted');
}

const LEAST = { xmpp: { jid: 'Alice@vpn.test', password: 's3cret' }, network: { ip4: '172.31.0.1/24' } };

test('fills in every default', () => {
  const file = write(LEAST);
  const { config, form, notices } = loadConfig(file, {});
  const { user, uid, gid, ...process } = config.process;
  expect({ ...config, process }).toEqual({
    name: 'demo',
    file,
    xmpp: { jid: 'alice@vpn.test', password: 's3cret', server: 'xmpp://vpn.test:5222' },
    network: {
      kind: 'group',
      ip4: { address: '172.31.0.1', prefix_length: 24 },
      subnet: { address: '172.31.0.0', prefix_length: 24 },
      ip6: 'auto',
      friends: {},
      layer: 2,
      links: { when: 'proactive', idle_s: 600, max: 256 },
      interface: 'kith-demo',
      mtu: 1360,
    },
    security: { mode: 'always', groups: [], without_common_group: 'plain', trust: 'first-use' },
    ice: { stun: [], turn: [], from_hub: true },
    direct: { enabled: true, port_mapping: 'auto', gso: true, gro: true },
    tap: { tso: true, uso: true, workers: 1, queues: 1 },
    api: { port: 5800, auth: 'secret' },
    process: { state_dir: '/var/lib/kith/demo', runtime_dir: '/run/kith/demo' },
    log: { level: 'info', controller_level: 'info', tincan_level: 'info' },
  });
  expect(uid).toBeGreaterThan(0);
  expect(gid).toBeGreaterThan(0);
  expect(user).not.toBe('root');
  expect({ form, notices }).toEqual({ form: 'native', notices: [] });
});

test.runIf(process.getuid?.() === 0)(
  "the controller's user is the file's owner, or nobody when that is root",
  () => {
    const file = write(LEAST);
    expect(loadConfig(file, {}).config.process.user).toBe('nobody');
    chownSync(file, 1, 1);
    expect(loadConfig(file, {}).config.process).toMatchObject({ uid: 1, user: 'daemon' });
    // A number without a name, as files from containers have.
    chownSync(file, 54_321, 54_322);
    expect(loadConfig(file, {}).config.process).toMatchObject({ uid: 54_321, gid: 54_322, user: '54321' });
  },
);

test('takes the password from a file or the environment, and paths relative to the config', () => {
  write('from-file\nsecond line\n', 0o600, 'pw');
  write('-----BEGIN CERTIFICATE-----\n', 0o644, 'ca.pem');
  const inFile = { ...LEAST, xmpp: { jid: 'a@b.test', password_file: 'pw', ca_file: 'ca.pem' } };
  // No secret stands in this file, so everybody may read it.
  const { xmpp } = loadConfig(write(inFile, 0o644), {}).config;
  expect(xmpp).toMatchObject({
    password: 'from-file',
    ca_file: join(dir, 'ca.pem'),
    ca: '-----BEGIN CERTIFICATE-----\n',
  });
  const inEnv = { ...LEAST, xmpp: { jid: 'a@b.test', password_env: 'KITH_PW' } };
  expect(loadConfig(write(inEnv), { KITH_PW: 'from-env' }).config.xmpp.password).toBe('from-env');
});

test('names every problem at once: key, value and what was expected, but no secret', () => {
  const { code, message, field } = refusal({
    nmae: 'x',
    xmpp: { jid: 'alice', password: 12345, passwrd: 'hunter2', server: 'https://a:hunter2@b' },
    network: { ip4: '172.31.0.0/24', mtu: 99_999, mut: 1, interface: 'much-too-long-name' },
    security: { mode: 'sometimes', groups: 'net1' },
    ice: { turn: [{ server: 'turn.test', user: 'u', password: 'hunter2' }] },
    log: null,
  });
  expect(code).toBe('CONFIG_INVALID');
  expect(field).toBe('xmpp.jid');
  expect(message).toMatchInlineSnapshot(`
    "./demo.json has 14 problems:
      xmpp.jid: is "alice"; expected a bare JID, like "alice@example.org"
      xmpp.password: is a number that is not shown; expected text of 1 to 1024 characters
      xmpp.server: is a value that is not shown; expected xmpps://host[:5223], xmpp://host[:5222] (STARTTLS) or wss://host[:443]/path
      xmpp.passwrd: is not a key of a Kith config; did you mean "xmpp.password"?
      network.ip4: is "172.31.0.0/24"; expected a host address with prefix length /8 to /30, like "172.31.0.1/24", that is neither the network's first nor its last address; or "auto"
      network.interface: is "much-too-long-name"; expected the name of a network interface: 1 to 15 letters, digits, dots, dashes or underscores
      network.mtu: is 99999; expected a whole number from 576 to 9000
      network.mut: is not a key of a Kith config; did you mean "network.mtu"?
      security.mode: is "sometimes"; expected one of "always", "groups", "never"
      security.groups: is text; expected a list of at most 64 names
      ice.turn[0].username: is missing; expected text of 1 to 1024 characters
      ice.turn[0].user: is not a key of a Kith config; did you mean "ice.turn[].username"?
      log: is null; expected an object
      nmae: is not a key of a Kith config; did you mean "name"?"
  `);
  expect(message).not.toContain('hunter2');
  expect(message).not.toContain('12345');
});

test('a key of another group is found there', () => {
  expect(refusal({ ...LEAST, mtu: 1400 }).message).toContain('did you mean "network.mtu"?');
});

test('a config with a secret that others may read is refused with the chmod that mends it', () => {
  for (const mode of [0o640, 0o604, 0o644]) {
    expect(refusal(LEAST, mode)).toEqual({
      code: 'CONFIG_EXPOSED',
      field: '(file)',
      message: [
        './demo.json has 1 problem:',
        '  (file): holds a secret and others may read it; mend it with: chmod 600 ./demo.json',
      ].join('\n'),
    });
  }
  const turn = [{ server: 'turn.test', username: 'u', password: 'p' }];
  const xmpp = { jid: 'a@b.test', password_env: 'X' };
  expect(refusal({ ...LEAST, xmpp, ice: { turn } }, 0o644).message).toContain('chmod 600');
});

test('a password file that others may read is refused likewise', () => {
  write('secret\n', 0o644, 'open-pw');
  const { message, field } = refusal({ ...LEAST, xmpp: { jid: 'a@b.test', password_file: 'open-pw' } });
  expect(field).toBe('xmpp.password_file');
  expect(message).toContain('mend it with: chmod 600 ./open-pw');
});

test('a password must come from exactly one place that has one', () => {
  expect(refusal({ ...LEAST, xmpp: { jid: 'a@b.test' } }).message).toContain(
    'exactly one of password, password_file, password_env is needed; none is set',
  );
  const both = { jid: 'a@b.test', password: 'p', password_env: 'X' };
  expect(refusal({ ...LEAST, xmpp: both }).message).toContain('password and password_env are set');
  const unset = { jid: 'a@b.test', password_env: 'KITH_UNSET' };
  expect(refusal({ ...LEAST, xmpp: unset }).message).toContain('KITH_UNSET is not set or empty');
  const gone = { jid: 'a@b.test', password_file: 'gone' };
  expect(refusal({ ...LEAST, xmpp: gone }).message).toContain('cannot read ./gone: there is no such file');
});

test('the controller cannot be root, nor a user that is not there', () => {
  expect(refusal({ ...LEAST, process: { user: 'root' } }).message).toContain(
    'expected a user that is not root',
  );
  expect(refusal({ ...LEAST, process: { user: 'no-such-user-here' } }).message).toContain(
    'process.user: is "no-such-user-here"; expected the name of a user of this machine',
  );
});

test('a runtime directory too deep for its sockets is refused before bind fails on it', () => {
  const { message, field } = refusal({ ...LEAST, process: { runtime_dir: `/run/${'x'.repeat(90)}` } });
  expect(field).toBe('process.runtime_dir');
  expect(message).toContain('at most 84 bytes');
});

test('a file that is not there, not a file or not JSON is a ConfigError too', () => {
  expect(() => loadConfig(join(dir, 'gone.json'))).toThrow('gone.json: there is no such file');
  expect(() => loadConfig(dir)).toThrow(`cannot read ${dir}`);
  expect(refusal('{"xmpp": }')).toMatchObject({ code: 'CONFIG_SYNTAX' });
});

test('a network is located without its secrets, spoilt as the rest of its config may be', () => {
  const file = write({ xmpp: 'spoilt', network: 7, process: { runtime_dir: 'run' } }, 0o644);
  expect(locateNetwork(file)).toEqual({
    name: 'demo',
    file,
    state_dir: '/var/lib/kith/demo',
    runtime_dir: join(dir, 'run'),
    api_port: 5800,
  });
  expect(locateNetwork(write({ xmpp_username: 'a', svpn_port: 5900 }))).toMatchObject({
    name: 'demo',
    api_port: 5900,
  });
  expect(() => locateNetwork(write({ process: { runtime_dir: 7 } }))).toThrow('process.runtime_dir: is 7');
});

test('addresses: static, automatic, and the friends of a social network', () => {
  const network = (keys: object) => loadConfig(write({ ...LEAST, network: keys }), {}).config.network;
  expect(network({ ip4: 'auto', subnet: '172.31.0.0/16' })).toMatchObject({
    ip4: null,
    subnet: { address: '172.31.0.0', prefix_length: 16 },
  });
  expect(
    network({ kind: 'social', ip4: '10.1.0.1/16', friends: { 'Bob@vpn.test': '10.1.2.3' } }),
  ).toMatchObject({ kind: 'social', layer: 3, friends: { 'bob@vpn.test': '10.1.2.3' } });
});

test('names of security groups: one name is one name however it was typed, and all of them fit into a signal', () => {
  const groups = (names: string[]) =>
    loadConfig(write({ ...LEAST, security: { groups: names } }), {}).config.security.groups;
  expect(groups(['caf\u00e9', 'cafe\u0301', '007', 'a,b', ' ', '🦊'])).toEqual([
    'café',
    '007',
    'a,b',
    ' ',
    '🦊',
  ]);
  const many = (length: number, letter: string) =>
    Array.from({ length: 64 }, (_, n) => `${n}`.padEnd(length, letter));
  expect(groups(many(64, 'x'))).toHaveLength(64);
  expect(groups(many(30, 'ü'))).toHaveLength(64);
  expect(refusal({ ...LEAST, security: { groups: many(64, 'ü') } }).message).toContain(
    'security.groups: take 24',
  );
  expect(refusal({ ...LEAST, security: { groups: [''] } }).message).toContain('security.groups[0]: is ""');
});

test('addresses that do not go together are named', () => {
  const problem = (keys: object) =>
    refusal({ ...LEAST, network: keys })
      .message.split('\n')
      .slice(1)
      .join(' ')
      .trim();
  expect(problem({ ip4: 'auto' })).toBe(
    'network.subnet: is needed when network.ip4 is "auto"; expected a network like "172.31.0.0/16"',
  );
  expect(problem({ ip4: '10.0.0.1/24', subnet: '10.0.0.0/16' })).toBe(
    'network.ip4: is "10.0.0.1/24", which is no host of network.subnet 10.0.0.0/16 with its prefix length',
  );
  expect(problem({ ip4: 'auto', subnet: '10.0.0.1/16' })).toContain(
    'network.subnet: is "10.0.0.1/16"; expected an IPv4 network',
  );
  const social = { kind: 'social', ip4: '10.0.0.1/24' };
  expect(problem({ ...social, friends: { 'a@b.test': '10.0.1.1' } })).toBe(
    'network.friends.a@b.test: is "10.0.1.1", which is no host address of 10.0.0.0/24',
  );
  expect(problem({ ...social, friends: { 'a@b.test': '10.0.0.1' } })).toBe(
    'network.friends.a@b.test: is "10.0.0.1", which network.ip4 has already',
  );
  expect(problem({ ...social, friends: { 'a@b.test': '10.0.0.2', 'c@b.test': '10.0.0.2' } })).toBe(
    'network.friends.c@b.test: is "10.0.0.2", which network.friends.a@b.test has already',
  );
  expect(problem({ ip4: '10.0.0.1/24', friends: { 'a@b.test': '10.0.0.2' } })).toContain(
    'network.friends: has a meaning only',
  );
  expect(problem({ ...social, friends: { nobody: '10.0.0.2' } })).toBe(
    'network.friends.nobody: is not right; expected a bare JID, like "bob@example.org"',
  );
  expect(problem({ ...social, layer: 2 })).toContain('network.layer: is 2; expected 3');
  expect(problem({ ...social, links: { max: 0 } })).toBe(
    'network.links.max: is 0; expected a whole number from 1 to 4000',
  );
});

test('names made of file names fit', () => {
  expect(['My Net.json', '--.json', 'Ünet.json', `${'a'.repeat(40)}.json`].map(nameOf)).toEqual([
    'my-net',
    'kith',
    'net',
    'a'.repeat(31),
  ]);
  expect(interfaceOf('my-long-net-x')).toBe('kith-my-long-ne');
  fc.assert(
    fc.property(fc.string(), (file) => {
      expect(nameOf(file)).toMatch(/^[a-z0-9][a-z0-9-]{0,30}$/);
      expect(interfaceOf(nameOf(file))).toMatch(/^kith-[a-z0-9-]{1,10}$/);
    }),
  );
});

test('start documents come back as they were written, and tincan gets no credentials', () => {
  const { config } = loadConfig(write({ ...LEAST, ice: { port_range: [40_000, 40_100] } }), {});
  const owner = { uid: 65_534, gid: 65_534 };
  const tincan = JSON.stringify(tincanStart(config, owner));
  expect(parseTincanStart(tincan)).toEqual(tincanStart(config, owner));
  expect(parseTincanStart(tincan).port_range).toEqual([40_000, 40_100]);
  expect(tincan).not.toContain('s3cret');
  expect(tincan).not.toContain('alice');
  const controller = controllerStart(config, owner);
  expect(parseControllerStart(JSON.stringify(controller))).toEqual(controller);
  expect(() => parseTincanStart('{}')).toThrow(ConfigError);
});

test('any JSON value gives a config or a ConfigError, nothing else', () => {
  const keys = fc.constantFrom(
    'xmpp',
    'network',
    'ice',
    'turn',
    'ip4',
    'group',
    'xmpp_username',
    'xmpp_password',
    '__proto__',
    'x',
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5 },
      fc.jsonValue(),
      fc.dictionary(keys, tie('tree')),
      fc.array(tie('tree'), { maxLength: 3 }),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      const file = write(JSON.stringify(value) ?? 'null');
      try {
        loadConfig(file, {});
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
      }
    }),
    { numRuns: 300 },
  );
});

test('the switches of direct carrier and TAP reach tincan', () => {
  const direct = { enabled: false, port: 5801, gso: false, gro: false };
  const tap = { tso: false, uso: false };
  const { config } = loadConfig(write({ ...LEAST, direct, tap }), {});
  expect(tincanStart(config, { uid: 1, gid: 1 })).toMatchObject({ direct, tap: { ...tap, queues: 1 } });
});
