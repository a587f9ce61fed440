import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Ejabberd, ended, HOST_INTERFACE, type Host, introduce, Lab, Reaper, run } from '../lab/index.ts';

async function pings(from: Host, to: string): Promise<boolean> {
  return (await from.exec('ping', ['-n', '-c', '1', '-W', '1', to])).code === 0;
}

/** Waits for what happens by itself soon; the deadline only bounds a failure. */
async function eventually(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`still not so after 30 s: ${what}`);
    await pause(50);
  }
}

async function namespacesOf(id: string): Promise<string[]> {
  return (await run('ip', ['netns', 'list'])).split('\n').filter((line) => line.includes(id));
}

describe('hosts on the switch', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create({ name: 'hosts' });
  });
  afterAll(() => lab.destroy());

  test('reach each other by IPv4, IPv6 and name, and nobody outside', async () => {
    const [alice, bob] = await Promise.all([lab.host('alice'), lab.host('bob')]);
    expect(await pings(alice, bob.ip4)).toBe(true);
    expect(await pings(alice, bob.ip6)).toBe(true);
    expect(await pings(bob, 'alice')).toBe(true);
    expect((await alice.exec('ping', ['-c', '1', '-W', '1', '192.0.2.1'])).stderr).toContain('unreachable');
  });

  test('are the same host when asked for again', async () => {
    expect(await lab.host('alice')).toBe(await lab.host('alice'));
  });

  test('lose and regain the network with their cable', async () => {
    const [alice, bob] = await Promise.all([lab.host('alice'), lab.host('bob')]);
    await bob.linkDown();
    expect(await pings(alice, bob.ip4)).toBe(false);
    expect(await bob.run('ip', ['link', 'show', HOST_INTERFACE])).toContain('NO-CARRIER');
    await bob.linkUp();
    await eventually(() => pings(alice, bob.ip4), 'bob answers again');
  });

  test('can move to another address', async () => {
    const [alice, bob] = await Promise.all([lab.host('alice'), lab.host('bob')]);
    const before = bob.ip4;
    await bob.setAddress({ ip4: '203.0.113.200' });
    expect(bob.ip4).toBe('203.0.113.200');
    expect(await pings(alice, '203.0.113.200')).toBe(true);
    expect(await pings(alice, before)).toBe(false);
  });

  test('need not ask for each other once they are introduced', async () => {
    const hosts = await Promise.all([lab.host('xenia'), lab.host('yves'), lab.host('zoe')]);
    await introduce(hosts);
    for (const host of hosts) {
      const others = hosts.filter((other) => other !== host).flatMap(({ ip4, ip6 }) => [ip4, ip6]);
      const known = (await host.run('ip', ['neigh', 'show', 'nud', 'permanent'])).split('\n');
      expect(known.map((line) => line.split(' ')[0]).filter(Boolean)).toEqual(expect.arrayContaining(others));
      for (const other of others) expect(await pings(host, other)).toBe(true);
    }
  });

  test('have the MTU that was set', async () => {
    const [alice, bob] = await Promise.all([lab.host('alice'), lab.host('bob')]);
    const fits = async (bytes: number): Promise<boolean> =>
      // 28 bytes of IPv4 and ICMP header around the payload; -M do forbids fragmentation.
      (await alice.exec('ping', ['-c', '1', '-W', '1', '-M', 'do', '-s', String(bytes - 28), bob.ip4]))
        .code === 0;
    expect(await fits(1500)).toBe(true);
    await alice.setMtu(1400);
    expect(await fits(1400)).toBe(true);
    expect(await fits(1401)).toBe(false);
  });

  test('vanish with all their processes when removed', async () => {
    const dave = await lab.host('dave');
    const sleeper = dave.spawn('sleep', ['1000'], { stdio: 'ignore' });
    await eventually(async () => (await dave.pids()).length === 1, 'sleep runs');
    await lab.removeHost('dave');
    expect(await ended(sleeper)).toBe(128 + 9);
    expect(existsSync(`/run/netns/${dave.namespace}`)).toBe(false);
  });

  test('are apart from those of another lab', async () => {
    const other = await Lab.create({ name: 'other' });
    try {
      const stranger = await other.host('alice');
      const bob = await lab.host('bob');
      expect(await pings(stranger, bob.ip4)).toBe(false);
    } finally {
      await other.destroy();
    }
  });
});

describe('the private ejabberd', () => {
  let lab: Lab;
  let hub: Ejabberd;
  beforeAll(async () => {
    lab = await Lab.create({ name: 'hub' });
    hub = await Ejabberd.start(lab);
  });
  afterAll(() => lab.destroy());

  const certificateCheck = async (args: string[]): Promise<string> => {
    const alice = await lab.host('alice');
    const options = ['-CAfile', hub.caFile, '-verify_return_error', '-brief'];
    const result = await alice.exec('openssl', ['s_client', ...options, ...args]);
    return result.code === 0 ? 'verified' : result.stderr;
  };

  test('shows a certificate for its domain and its address on every TLS port', async () => {
    const { starttls, tls, websocket, turns } = hub.ports;
    const domain = ['-verify_hostname', hub.domain];
    const starttlsArgs = ['-starttls', 'xmpp', '-xmpphost', hub.domain];
    expect(
      await certificateCheck(['-connect', `${hub.domain}:${starttls}`, ...starttlsArgs, ...domain]),
    ).toBe('verified');
    for (const port of [tls, websocket, turns]) {
      const connect = ['-connect', `${hub.host.ip4}:${port}`];
      expect(await certificateCheck([...connect, ...domain])).toBe('verified');
      expect(await certificateCheck([...connect, '-verify_ip', hub.host.ip4])).toBe('verified');
    }
    expect(
      await certificateCheck(['-connect', `${hub.host.ip4}:${tls}`, '-verify_hostname', 'other.test']),
    ).toContain('mismatch');
  });

  test('runs without rights', async () => {
    const [pid] = await hub.host.pids();
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
    expect(status).toMatch(/^Groups:\s*$/m);
    expect(status).toMatch(/^CapEff:\t0+$/m);
  });

  test('keeps accounts and groups, and says when it will not', async () => {
    await hub.register('alice', 'secret');
    await hub.register('bob', 'secret');
    await expect(hub.register('alice', 'again')).rejects.toThrow('already registered');
    await hub.createGroup('net1');
    await hub.createGroup('net2');
    await hub.addToGroup('alice', 'net1');
    await hub.addToGroup('bob', 'net1');
    expect(await hub.groupMembers('net1')).toEqual(['alice@vpn.test', 'bob@vpn.test']);
    await hub.removeFromGroup('bob', 'net1');
    expect(await hub.groupMembers('net1')).toEqual(['alice@vpn.test']);
    await hub.unregister('bob');
    await hub.register('bob', 'a new one');
    expect(await hub.kick('bob')).toBe(0);
    expect(await hub.online()).toEqual([]);
  });

  test('has its accounts and groups again after stop, after kill -9 and after restart', async () => {
    const alice = await lab.host('alice');
    const serves = async (): Promise<boolean> =>
      (await alice.exec('openssl', ['s_client', '-connect', `${hub.host.ip4}:${hub.ports.tls}`, '-brief']))
        .code === 0;
    await hub.stop();
    expect(await serves()).toBe(false);
    await hub.start();
    expect(await serves()).toBe(true);
    const late = ['carol', 'dave', 'erin'];
    for (const user of late) await hub.register(user, 'secret');
    await hub.addToGroup('alice', 'net2');
    await hub.kill9();
    expect(await serves()).toBe(false);
    await hub.start();
    await hub.restart();
    expect(await serves()).toBe(true);
    expect(await hub.groupMembers('net1')).toEqual(['alice@vpn.test']);
    expect(await hub.groupMembers('net2')).toEqual(['alice@vpn.test']);
    for (const user of ['alice', ...late])
      await expect(hub.register(user, 'again')).rejects.toThrow('already registered');
  });

  test('answers STUN with the address that it saw', async () => {
    const alice = await lab.host('alice');
    // A binding request (RFC 8489 §5): type 1, no attributes, magic cookie, transaction id of zeros. The answer's
    // XOR-MAPPED-ADDRESS (0x0020) is undone with the cookie.
    const script = `
      const socket = require('node:dgram').createSocket('udp4');
      socket.on('message', (m) => {
        for (let at = 20; at < m.length; at += 4 + ((m.readUInt16BE(at + 2) + 3) & ~3)) {
          if (m.readUInt16BE(at) !== 0x20) continue;
          const ip = (m.readUInt32BE(at + 8) ^ 0x2112a442) >>> 0;
          console.log([24, 16, 8, 0].map((s) => (ip >>> s) & 255).join('.'));
        }
        process.exit(0);
      });
      setInterval(() => socket.send(Buffer.from('000100002112a442' + '00'.repeat(12), 'hex'), 3478, '${hub.host.ip4}'), 200);`;
    expect((await alice.run(process.execPath, ['-e', script])).trim()).toBe(alice.ip4);
  });
});

describe('the reaper', () => {
  test('leaves nothing of a lab whose owner was killed with -9', async () => {
    // The owner is a process of its own, which uses the built lab.
    const script = `
      import { Ejabberd, Lab } from '@kith/test';
      const lab = await Lab.create({ name: 'doomed' });
      await Ejabberd.start(lab);
      const host = await lab.host('alice');
      // A daemon as \`kith up\` leaves behind, with a TAP device and its back turned to its parent.
      await host.run('ip', ['tuntap', 'add', 'kith0', 'mode', 'tap']);
      host.spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' }).unref();
      console.log(lab.id + ' ' + lab.dir);`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const line = await createInterface({ input: owner.stdout })[Symbol.asyncIterator]().next();
    const [id = '', dir = ''] = String(line.value).split(' ');
    expect(existsSync(join(dir, 'hub', 'conf', 'ejabberd.yml'))).toBe(true);
    const namespaces = await namespacesOf(id);
    expect(namespaces).toHaveLength(3);
    const pids = (
      await Promise.all(namespaces.map((entry) => run('ip', ['netns', 'pids', entry.split(' ')[0] ?? ''])))
    ).flatMap((list) => list.split('\n').filter(Boolean));
    expect(pids.length).toBeGreaterThanOrEqual(3);

    owner.kill('SIGKILL');
    await eventually(async () => (await namespacesOf(id)).length === 0, 'namespaces gone');
    await eventually(() => !existsSync(dir), 'directory gone');
    for (const pid of pids) await eventually(() => isGone(Number(pid)), `process ${pid} gone`);
    expect(
      existsSync('/etc/netns') ? readdirSync('/etc/netns').filter((name) => name.includes(id)) : [],
    ).toEqual([]);
  });

  test('removes later what was handed over', async () => {
    const lab = await Lab.create({ name: 'kept' });
    await lab.host('alice');
    const folder = mkdtempSync(join(tmpdir(), 'kith-handover-'));
    try {
      const file = join(folder, 'orders');
      await lab.handOver(file);
      expect(await namespacesOf(lab.id)).toHaveLength(2);
      await Reaper.cleanFrom(readFileSync(file, 'utf8'));
      expect(await namespacesOf(lab.id)).toEqual([]);
      expect(existsSync(lab.dir)).toBe(false);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('touches nothing that is not a lab’s', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'not-a-lab-'));
    try {
      await expect(Reaper.cleanFrom(`${JSON.stringify({ directory: folder })}\n`)).rejects.toThrow(
        'not understood',
      );
      expect(existsSync(folder)).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** A killed process may stay as a zombie for as long as its new parent likes; it holds nothing any more. */
function isGone(pid: number): boolean {
  try {
    return /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}
