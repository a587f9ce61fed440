import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StatusReport } from '@kith/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Ejabberd, KithNode, Lab, ping } from '../lab/index.ts';

/** Seconds without a packet after which links end here; real networks have 600. */
const IDLE_S = 2;

const linkTo = (hub: Ejabberd, status: StatusReport, user: string) =>
  status.links.find((link) => link.name === hub.jid(user));

/** The address at which a node sees another. */
async function seenAt(hub: Ejabberd, node: KithNode, user: string): Promise<string> {
  const status = await node.waitUntil(`told where ${user} is`, (each) => {
    return typeof linkTo(hub, each, user)?.address === 'string';
  });
  return linkTo(hub, status, user)?.address ?? '';
}

describe('a group network with automatic addresses, layer 3, links on demand', () => {
  let lab: Lab;
  let hub: Ejabberd;
  const nodes = new Map<string, KithNode>();
  let davesAddress = '';
  const USERS = ['alice', 'bob', 'carol'];
  const nodeOf = (user: string): KithNode => {
    const node = nodes.get(user);
    if (node === undefined) throw new Error(user);
    return node;
  };
  const state = (user: string, other: string, wished: string) =>
    nodeOf(user).waitUntil(`${wished} to ${other}`, (status) => linkTo(hub, status, other)?.state === wished);

  beforeAll(async () => {
    lab = await Lab.create({ name: 'policy' });
    hub = await Ejabberd.start(lab);
    await hub.createGroup('friends');
    for (const user of USERS) {
      await hub.register(user, `${user}-password`);
      await hub.addToGroup(user, 'friends');
      nodes.set(
        user,
        await KithNode.create(lab, hub, await lab.host(user), {
          ...{ user, password: `${user}-password`, ip4: 'auto', group: 'friends' },
          config: {
            network: { subnet: '172.31.0.0/24', layer: 3, links: { when: 'on-demand', idle_s: IDLE_S } },
          },
        }),
      );
    }
    await Promise.all(USERS.map((user) => nodeOf(user).up()));
    for (const user of USERS) {
      for (const other of USERS) if (other !== user) await state(user, other, 'idle');
    }
  });

  afterAll(async () => {
    await lab?.destroy();
  });

  test('every node has an address of its own in the subnet, and all agree on whose is whose', async () => {
    const own = new Map<string, string | null>();
    for (const user of USERS) {
      const status = await nodeOf(user).waitUntil(
        'addressed',
        ({ node }) => node.ip4 !== null && node.ip4 !== '',
      );
      own.set(user, status.node.ip4);
    }
    expect(new Set(own.values()).size).toBe(USERS.length);
    for (const ip4 of own.values()) expect(ip4).toMatch(/^172\.31\.0\.\d+$/);
    for (const user of USERS) {
      for (const other of USERS) {
        if (other !== user) expect(await seenAt(hub, nodeOf(user), other)).toBe(own.get(other));
      }
    }
  });

  test('the first packet makes the link and is not lost; without packets it ends, and nobody opens it again', async () => {
    const bob = await seenAt(hub, nodeOf('alice'), 'bob');
    // They look from the beginning: a machine that stands still for the idle time sees the link come and go.
    const opening = Promise.all([state('alice', 'bob', 'online'), state('bob', 'alice', 'online')]);
    const figures = await ping(nodeOf('alice').host, bob, { count: 3, intervalMs: 200, patienceMs: 5_000 });
    expect(figures).toMatchObject({ sent: 3, received: 3 });
    await opening;
    expect(linkTo(hub, await nodeOf('alice').status(), 'carol')?.state).toBe('idle');
    await state('alice', 'bob', 'idle');
    await state('bob', 'alice', 'idle');
    const opened = async () => (await nodeOf('alice').status()).counters.links_opened;
    const before = await opened();
    // Longer than a first retry would take.
    await nodeOf('alice').host.exec('sleep', ['1.5']);
    expect(await opened()).toBe(before);
    expect(
      (
        await ping(nodeOf('bob').host, await seenAt(hub, nodeOf('bob'), 'alice'), {
          count: 2,
          intervalMs: 200,
          patienceMs: 5_000,
        })
      ).received,
    ).toBe(2);
  });

  test('a link with traffic stays for longer than the idle time', async () => {
    const carol = await seenAt(hub, nodeOf('alice'), 'carol');
    await ping(nodeOf('alice').host, carol, { count: 1, intervalMs: 200, patienceMs: 5_000 });
    await state('alice', 'carol', 'online');
    const opened = (await nodeOf('carol').status()).counters.links_opened;
    const count = (IDLE_S * 1000 * 2) / 250;
    const { received } = await ping(nodeOf('alice').host, carol, { count, intervalMs: 250 });
    expect(received).toBe(count);
    expect((await nodeOf('carol').status()).counters.links_opened).toBe(opened);
  });

  test('IPv6 goes between the addresses that follow from the UIDs', async () => {
    const { node } = await nodeOf('bob').status();
    expect(node.ip6).toMatch(/^fd/);
    expect(
      (await ping(nodeOf('alice').host, node.ip6 ?? '', { count: 2, intervalMs: 200, patienceMs: 5_000 }))
        .received,
    ).toBe(2);
  });

  test('an address outlives a restart', async () => {
    const before = (await nodeOf('carol').status()).node.ip4;
    await nodeOf('carol').down();
    await nodeOf('carol').up();
    const after = await nodeOf('carol').waitUntil(
      'addressed',
      ({ node }) => node.ip4 !== null && node.ip4 !== '',
    );
    expect(after.node.ip4).toBe(before);
  });

  test('a static node that takes an automatic one’s address: the automatic one moves, both reach the third', async () => {
    const carols = (await nodeOf('carol').status()).node.ip4 ?? '';
    davesAddress = carols;
    await hub.register('dave', 'dave-password');
    await hub.addToGroup('dave', 'friends');
    const dave = await KithNode.create(lab, hub, await lab.host('dave'), {
      ...{ user: 'dave', password: 'dave-password', ip4: `${carols}/24`, group: 'friends' },
      config: { network: { layer: 3, links: { when: 'on-demand', idle_s: IDLE_S } } },
    });
    await dave.up();
    await nodeOf('carol').waitUntil('moved', ({ node }) => node.ip4 !== '' && node.ip4 !== carols);
    await nodeOf('alice').waitUntil('told', (status) => linkTo(hub, status, 'dave')?.address === carols);
    await nodeOf('alice').waitUntil('told', (status) => {
      const address = linkTo(hub, status, 'carol')?.address;
      return typeof address === 'string' && address !== carols;
    });
    for (const user of ['carol', 'dave']) {
      const to = await seenAt(hub, nodeOf('alice'), user);
      expect(
        (await ping(nodeOf('alice').host, to, { count: 2, intervalMs: 200, patienceMs: 5_000 })).received,
        user,
      ).toBe(2);
    }
    await dave.down();
  });

  test('two static nodes with one address: both say so by name, and exactly one gets the traffic', async () => {
    const twins = ['erin', 'frank'];
    // Nobody's: an automatic address may be any, and dave's, which was carol's once, is kept for him.
    const seen = await nodeOf('alice').status();
    const used = [davesAddress, seen.node.ip4, ...seen.links.map(({ address }) => address)];
    const twin = ['172.31.0.250', '172.31.0.251', '172.31.0.252', '172.31.0.253', '172.31.0.254'].find(
      (each) => !used.includes(each),
    );
    if (twin === undefined) throw new Error('four nodes have five addresses');
    const started: KithNode[] = [];
    for (const user of twins) {
      await hub.register(user, `${user}-password`);
      await hub.addToGroup(user, 'friends');
      const node = await KithNode.create(lab, hub, await lab.host(user), {
        ...{ user, password: `${user}-password`, ip4: `${twin}/24`, group: 'friends' },
        config: { network: { layer: 3, links: { when: 'on-demand', idle_s: IDLE_S } } },
      });
      await node.up();
      started.push(node);
    }
    for (const [index, node] of started.entries()) {
      const other = hub.jid(twins[1 - index] ?? '');
      const status = await node.waitUntil(
        'in conflict',
        (each) => each.node.detail?.includes(other) === true,
      );
      expect(status.node.detail).toContain(twin);
      expect(await node.statusText()).toContain(other);
    }
    const addresses = await nodeOf('alice').waitUntil(
      'told of both',
      (status) =>
        twins.every((user) => linkTo(hub, status, user) !== undefined) &&
        twins.filter((user) => linkTo(hub, status, user)?.address === twin).length === 1,
    );
    const loser = twins.find((user) => linkTo(hub, addresses, user)?.address === null) ?? '';
    expect(linkTo(hub, addresses, loser)?.detail).toContain(twin);
    await ping(nodeOf('alice').host, twin, { count: 3, intervalMs: 200, patienceMs: 5_000 });
    const after = await nodeOf('alice').status();
    expect(linkTo(hub, after, loser)?.state).not.toBe('online');
    for (const node of started) await node.down();
  });
});

describe('a group network, layer 2, links at once: two static nodes with one address', () => {
  const TWIN = '172.31.0.250';
  const USERS = ['alice', 'erin', 'frank'];
  let lab: Lab;
  let hub: Ejabberd;
  const nodes: KithNode[] = [];

  beforeAll(async () => {
    lab = await Lab.create({ name: 'twins' });
    hub = await Ejabberd.start(lab);
    await hub.createGroup('friends');
    for (const user of USERS) {
      await hub.register(user, `${user}-password`);
      await hub.addToGroup(user, 'friends');
      const ip4 = `${user === 'alice' ? '172.31.0.1' : TWIN}/24`;
      nodes.push(
        await KithNode.create(lab, hub, await lab.host(user), {
          ...{ user, password: `${user}-password`, ip4, group: 'friends' },
        }),
      );
    }
  });

  afterAll(async () => {
    await lab?.destroy();
  });

  test('who was known by the address first has it and the traffic, also when the other one comes first later', async () => {
    const [alice, erin, frank] = nodes;
    if (alice === undefined || erin === undefined || frank === undefined) throw new Error('three nodes');
    await alice.up();
    for (const order of [
      [erin, frank],
      [frank, erin],
    ]) {
      for (const node of order) {
        await node.up();
        await node.waitUntil('linked to alice', (status) => linkTo(hub, status, 'alice')?.state === 'online');
        const pinned = join(alice.stateDir, 'controller', 'nodes.json');
        while (!(await readFile(pinned, 'utf8').catch(() => '')).includes(TWIN)) await alice.status();
      }
      const status = await alice.waitUntil(
        'linked to both',
        (each) =>
          ['erin', 'frank'].every((user) => linkTo(hub, each, user)?.state === 'online') &&
          ['erin', 'frank'].filter((user) => linkTo(hub, each, user)?.address === TWIN).length === 1,
      );
      expect(linkTo(hub, status, 'erin')?.address).toBe(TWIN);
      expect(linkTo(hub, status, 'frank')?.detail).toContain('has had since');
      const before = (await erin.status()).tap?.tx_frames ?? 0;
      await alice.host.exec('ip', ['neigh', 'flush', 'dev', 'kith0']);
      const { received } = await ping(alice.host, TWIN, { count: 10, intervalMs: 100, patienceMs: 5_000 });
      expect(received).toBeGreaterThan(7);
      const neighbour = await alice.host.run('ip', ['neigh', 'show', TWIN]);
      expect(neighbour).toContain((await erin.status()).node.mac);
      expect((await erin.status()).tap?.tx_frames).toBeGreaterThan(before + 7);
      for (const each of order) await each.down();
    }
  });
});

describe('a group network, layer 2, links on demand, of which one node may have one at a time', () => {
  const USERS = ['alice', 'bob', 'carol'];
  let lab: Lab;
  let hub: Ejabberd;
  const nodes = new Map<string, KithNode>();
  const nodeOf = (user: string): KithNode => {
    const node = nodes.get(user);
    if (node === undefined) throw new Error(user);
    return node;
  };

  beforeAll(async () => {
    lab = await Lab.create({ name: 'limit' });
    hub = await Ejabberd.start(lab);
    await hub.createGroup('friends');
    for (const [index, user] of USERS.entries()) {
      await hub.register(user, `${user}-password`);
      await hub.addToGroup(user, 'friends');
      const links = { when: 'on-demand', ...(user === 'alice' ? { max: 1 } : {}) };
      // Multicasts over a direct path are packets too: a kernel that solicits routers for a minute would use the links.
      const host = await lab.host(user);
      await host.run('sysctl', ['-qw', 'net.ipv6.conf.default.router_solicitations=0']);
      nodes.set(
        user,
        await KithNode.create(lab, hub, host, {
          ...{ user, password: `${user}-password`, ip4: `172.31.0.${index + 1}/24`, group: 'friends' },
          config: { network: { links } },
        }),
      );
    }
    await Promise.all(USERS.map((user) => nodeOf(user).up()));
    await nodeOf('alice').waitUntil(
      'told of both',
      ({ links }) => links.filter(({ state }) => state === 'idle').length === 2,
    );
  });

  afterAll(async () => {
    await lab?.destroy();
  });

  test('a second link is made when the first was not used for a while, which then rests on both ends', async () => {
    const alice = nodeOf('alice');
    const first = await ping(alice.host, '172.31.0.2', { count: 3, intervalMs: 100, patienceMs: 5_000 });
    expect(first.received).toBe(3);
    // While it is in use, no other is let in.
    await ping(alice.host, '172.31.0.3', { count: 3, intervalMs: 100 });
    const full = await alice.status();
    expect(full.counters.links_beyond_limit).toBeGreaterThan(0);
    expect(linkTo(hub, full, 'carol')?.state).toBe('idle');
    // An application that goes on trying; the link to bob is unused for 20 s by then.
    let answered = 0;
    for (let attempt = 0; attempt < 60 && answered === 0; attempt++) {
      answered = (await ping(alice.host, '172.31.0.3', { count: 3, intervalMs: 200 })).received;
    }
    expect(answered).toBeGreaterThan(0);
    expect(linkTo(hub, await alice.status(), 'carol')?.state).toBe('online');
    await alice.waitUntil(
      'not linked to bob',
      (status) => linkTo(hub, status, 'bob')?.state === 'idle',
      60_000,
    );
    await nodeOf('bob').waitUntil(
      'not linked to alice',
      (status) => linkTo(hub, status, 'alice')?.state === 'idle',
    );
    expect(linkTo(hub, await alice.status(), 'bob')?.state).toBe('idle');
  });
});

describe('a social network: two friends, a stranger, and subnets that overlap', () => {
  let lab: Lab;
  let hub: Ejabberd;
  let alice: KithNode;
  let bob: KithNode;
  let carol: KithNode;

  beforeAll(async () => {
    lab = await Lab.create({ name: 'social' });
    hub = await Ejabberd.start(lab);
    for (const user of ['alice', 'bob', 'carol']) await hub.register(user, `${user}-password`);
    await hub.befriend('alice', 'bob');
    await hub.befriend('bob', 'carol');
    const node = async (user: string, network: Record<string, unknown>) =>
      KithNode.create(lab, hub, await lab.host(user), {
        ...{ user, password: `${user}-password`, ip4: '10.77.0.1/24' },
        config: { network: { kind: 'social', ...network } },
      });
    alice = await node('alice', { friends: { [hub.jid('bob')]: '10.77.0.9' } });
    bob = await node('bob', {});
    carol = await node('carol', {});
    await Promise.all([alice.up(), bob.up(), carol.up()]);
  });

  afterAll(async () => {
    await lab?.destroy();
  });

  test('each sees the other in its own subnet, and they reach each other there though all have the same address', async () => {
    await alice.waitUntil('linked to bob', (status) => linkTo(hub, status, 'bob')?.state === 'online');
    await bob.waitUntil(
      'linked',
      (status) => status.links.filter(({ state }) => state === 'online').length === 2,
    );
    expect(await seenAt(hub, alice, 'bob')).toBe('10.77.0.9');
    const alices = await seenAt(hub, bob, 'alice');
    const carols = await seenAt(hub, bob, 'carol');
    expect(new Set(['10.77.0.1', alices, carols]).size).toBe(3);
    expect(
      (await ping(alice.host, '10.77.0.9', { count: 3, intervalMs: 200, patienceMs: 5_000 })).received,
    ).toBe(3);
    expect((await ping(bob.host, alices, { count: 3, intervalMs: 200, patienceMs: 5_000 })).received).toBe(3);
    expect((await ping(bob.host, carols, { count: 3, intervalMs: 200, patienceMs: 5_000 })).received).toBe(3);
    const toBob = await seenAt(hub, carol, 'bob');
    expect((await ping(carol.host, toBob, { count: 3, intervalMs: 200, patienceMs: 5_000 })).received).toBe(
      3,
    );
  });

  test('a friend of a friend is nobody', async () => {
    expect(linkTo(hub, await alice.status(), 'carol')).toBeUndefined();
    expect(linkTo(hub, await carol.status(), 'alice')).toBeUndefined();
  });

  test('the mapping outlives a restart, and IPv6 needs none', async () => {
    const before = await seenAt(hub, bob, 'alice');
    await bob.down();
    await bob.up();
    await bob.waitUntil('linked to alice', (status) => linkTo(hub, status, 'alice')?.state === 'online');
    expect(await seenAt(hub, bob, 'alice')).toBe(before);
    expect((await ping(bob.host, before, { count: 3, intervalMs: 200, patienceMs: 5_000 })).received).toBe(3);
    const { node } = await alice.status();
    expect(
      (await ping(bob.host, node.ip6 ?? '', { count: 2, intervalMs: 200, patienceMs: 5_000 })).received,
    ).toBe(2);
  });
});
