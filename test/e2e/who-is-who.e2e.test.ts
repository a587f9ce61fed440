import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StatusReport } from '@kith/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createIdentity } from '../../tincan/dist/identity.js';
import { Ejabberd, KITH, KithNode, Lab, ping } from '../lab/index.ts';
import { HubWire } from './hub-wire.ts';
import { RelayingMember } from './relaying-member.ts';

// Whose a node is, how it handles frames, and whose an address is: what members could lie or differ about.

let lab: Lab;
let hub: Ejabberd;

beforeAll(async () => {
  lab = await Lab.create({ name: 'whois' });
  hub = await Ejabberd.start(lab);
});

afterAll(async () => {
  await lab?.destroy();
});

interface Options {
  user: string;
  ip4: string;
  group?: string;
  config?: Record<string, Record<string, unknown>>;
}

async function node({ user, ...options }: Options): Promise<KithNode> {
  await hub.register(user, 'secret');
  if (options.group !== undefined) await hub.addToGroup(user, options.group);
  return KithNode.create(lab, hub, await lab.host(user), { user, password: 'secret', ...options });
}

async function uidOf(of: KithNode): Promise<string> {
  return (await of.waitUntil('known by its UID', (status) => status.node.uid !== null)).node.uid ?? '';
}

const linkTo = (uid: string) => (status: StatusReport) => status.links.find((link) => link.uid === uid);
const isOnline = (uid: string) => (status: StatusReport) => linkTo(uid)(status)?.state === 'online';

/** Names and levels of the nodes that a node has pinned. */
async function pins(of: KithNode): Promise<string[]> {
  const text = await readFile(join(of.stateDir, 'controller', 'nodes.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return [];
  const file: { nodes: { jid: string; uid: string }[] } = JSON.parse(text);
  return file.nodes.map(({ jid, uid }) => `${jid} ${uid}`);
}

const answers = async (from: KithNode, address: string, count = 5) =>
  (await ping(from.host, address, { count, intervalMs: 100, patienceMs: 3_000 })).received;

test('a member who hands on the signals of two others under his own name gets neither pinned as his, and both say why', async () => {
  const alice = await node({ user: 'alice', ip4: '172.31.1.1/24' });
  const bob = await node({ user: 'bob', ip4: '172.31.1.2/24' });
  await hub.register('mallory', 'secret');
  // Alice and bob do not know each other; both know mallory.
  for (const user of ['alice', 'bob']) await hub.befriend(user, 'mallory');
  await Promise.all([alice.up(), bob.up()]);
  const [alicesUid, bobsUid] = await Promise.all([uidOf(alice), uidOf(bob)]);
  for (const each of [alice, bob])
    await each.waitUntil('at the hub', (status) => status.hub.state === 'online');
  const wire = await HubWire.open(lab, hub.host, hub.ports.tls);
  const mallory = await RelayingMember.open(hub, wire.address, 'mallory', 'secret', [
    { jid: hub.jid('alice'), uid: alicesUid },
    { jid: hub.jid('bob'), uid: bobsUid },
  ]);
  try {
    for (const [each, other] of [
      [alice, bobsUid],
      [bob, alicesUid],
    ] as const) {
      const status = await each.waitUntil(
        'refusing the node',
        (report) => linkTo(other)(report)?.detail?.includes('the node itself says') === true,
        60_000,
      );
      expect(linkTo(other)(status)).toMatchObject({
        ...{ name: hub.jid('mallory'), state: 'refused', trust: 'new' },
        detail: expect.stringContaining(`the node itself says that it is not ${hub.jid('mallory')}'s`),
      });
      expect(status.counters.links_of_other_account).toBeGreaterThan(0);
      expect(status.trust?.pinned).toBe(0);
      expect(await each.statusText()).toContain('the node itself says that it is not');
      const story = await each.kith('status', hub.jid('mallory'));
      expect(story.stdout).toContain('belongs to another account');
    }
    expect(mallory.relayed).toBeGreaterThan(1);
    expect(await answers(alice, '172.31.1.2', 2)).toBe(0);
    // When the two get to know each other, each has the other under its own name, whatever mallory goes on saying.
    await hub.befriend('alice', 'bob');
    await alice.waitUntil('linked to bob', isOnline(bobsUid), 60_000);
    await bob.waitUntil('linked to alice', isOnline(alicesUid), 60_000);
    expect(linkTo(bobsUid)(await alice.status())?.name).toBe(hub.jid('bob'));
    expect(await answers(alice, '172.31.1.2')).toBe(5);
  } finally {
    await mallory.close();
    await wire.close();
  }
  for (const each of [alice, bob]) await each.down();
  expect(await pins(alice)).toEqual([`${hub.jid('bob')} ${bobsUid}`]);
  expect(await pins(bob)).toEqual([`${hub.jid('alice')} ${alicesUid}`]);
});

test('between a node of layer 2 and one of layer 3 IP works both ways, and both say what does not', async () => {
  await hub.createGroup('layers');
  const [two, three] = await Promise.all(
    ([2, 3] as const).map((layer) =>
      node({
        ...{ user: `layer${layer}`, ip4: `172.31.2.${layer}/24`, group: 'layers' },
        config: { network: { layer } },
      }),
    ),
  );
  if (two === undefined || three === undefined) throw new Error('two nodes');
  await Promise.all([two.up(), three.up()]);
  const uids = [await uidOf(two), await uidOf(three)];
  for (const [index, each] of [two, three].entries()) {
    const [own, theirs] = index === 0 ? [2, 3] : [3, 2];
    const status = await each.waitUntil('linked', isOnline(uids[1 - index] ?? ''));
    expect(status.node.layer).toBe(own);
    expect(linkTo(uids[1 - index] ?? '')(status)).toMatchObject({
      layer: theirs,
      detail: expect.stringContaining(`it runs layer ${theirs} and this node layer ${own}: IP packets pass`),
    });
    expect(status.counters.links_other_layer).toBe(1);
    const story = await each.kith('status', `layer${theirs}`);
    expect(story.stdout).toContain(`the peer runs layer ${theirs}, this node layer ${own}`);
    const doctor = await each.host.exec(process.execPath, [KITH, 'doctor', '-c', each.configFile, '--json'], {
      timeoutMs: 60_000,
    });
    expect(JSON.parse(doctor.stdout).findings).toContainEqual(
      expect.objectContaining({ check: 'layer', level: 'warn' }),
    );
  }
  const [address2, address3] = [two, three].map((_, index) => `172.31.2.${index + 2}`);
  const ip6 = async (of: KithNode) => (await of.status()).node.ip6 ?? '';
  // First who has asked nobody yet, then who has to ask again.
  for (let round = 0; round < 2; round++) {
    for (const [from, addresses] of [
      [two, [address3 ?? '', await ip6(three)]],
      [three, [address2 ?? '', await ip6(two)]],
    ] as const) {
      for (const address of addresses) expect(await answers(from, address), address).toBe(5);
    }
    for (const each of [two, three]) await each.host.exec('ip', ['neigh', 'flush', 'dev', 'kith0']);
  }
  for (const each of [two, three]) await each.down();
});

test('a static address stays with who was known by it first, whatever key somebody makes, while he is away too', async () => {
  await hub.createGroup('addresses');
  // Of layer 2, where every machine may answer for any address that is nobody's.
  const member = (user: string, last: number) =>
    node({ user, ip4: `172.31.3.${last}/24`, group: 'addresses' });
  const [carol, dave, eve] = await Promise.all([member('carol', 1), member('dave', 2), member('eve', 2)]);
  // Eve tries keys until hers has the smaller UID.
  const keys = [await createIdentity(), await createIdentity()].sort((a, b) => (a.uid < b.uid ? -1 : 1));
  for (const [index, each] of [eve, dave].entries()) {
    const key = keys[index];
    if (key === undefined) throw new Error('two keys');
    await mkdir(each.stateDir, { recursive: true });
    await writeFile(join(each.stateDir, 'identity.pem'), key.keyPem + key.certificatePem, { mode: 0o600 });
  }
  await Promise.all([carol.up(), dave.up()]);
  const davesUid = await uidOf(dave);
  await carol.waitUntil('linked to dave', isOnline(davesUid));
  const held = async (): Promise<boolean> =>
    (await readFile(join(carol.stateDir, 'controller', 'nodes.json'), 'utf8').catch(() => '')).includes(
      '172.31.3.2',
    );
  while (!(await held())) await carol.status();

  await eve.up();
  const evesUid = await uidOf(eve);
  expect(evesUid < davesUid).toBe(true);
  const refused = (words: string) => (status: StatusReport) =>
    linkTo(evesUid)(status)?.detail?.includes(`claims 172.31.3.2, which ${words}`) === true;
  const name = `${hub.jid('dave')} (${davesUid.slice(0, 8)})`;
  const first = await carol.waitUntil('refusing the claim', refused(`${name} has had since `));
  expect(linkTo(evesUid)(first)).toMatchObject({ address: null });
  expect(linkTo(davesUid)(first)).toMatchObject({ address: '172.31.3.2' });
  expect(first.counters.address_claims_refused).toBeGreaterThan(0);
  // Whom it is taken from says so as well.
  const daves = await dave.waitUntil('contested', ({ node: self }) => typeof self.detail === 'string');
  expect(daves.node.detail).toContain('is claimed by');
  await carol.waitUntil('linked to eve', isOnline(evesUid));
  const before = (await dave.status()).tap?.rx_frames ?? 0;
  expect(await answers(carol, '172.31.3.2')).toBe(5);
  expect((await dave.status()).tap?.rx_frames).toBeGreaterThan(before);

  // Away, and carol's memory is on disk only.
  await dave.down();
  const kept = refused(`is kept for ${name}, who has had it since `);
  await carol.waitUntil('keeping the address', kept);
  await carol.down();
  await carol.up();
  await carol.waitUntil('linked to eve', isOnline(evesUid));
  const later = await carol.waitUntil('keeping the address', kept);
  expect(linkTo(evesUid)(later)).toMatchObject({ address: null });
  expect(await answers(carol, '172.31.3.2', 2)).toBe(0);
  await dave.up();
  await carol.waitUntil('linked to dave', isOnline(davesUid));
  expect(await answers(carol, '172.31.3.2')).toBe(5);

  // A person may forget it; then the two are as if met for the first time.
  const { code } = await carol.host.exec(process.execPath, [
    ...[KITH, 'trust', 'forget', hub.jid('dave'), davesUid, '-c', carol.configFile],
  ]);
  expect(code).toBe(0);
  await carol.waitUntil('giving the address', (status) => linkTo(evesUid)(status)?.address === '172.31.3.2');
  await carol.waitUntil('linked to eve', isOnline(evesUid));
  // Its link is made anew with the address, and what was under way meanwhile may be lost.
  expect(await answers(carol, '172.31.3.2', 20)).toBeGreaterThan(0);
  for (const each of [carol, dave, eve]) await each.down();
});
