import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogger } from '@kith/base';
import { XmppSession } from '@kith/controller/xmpp';
import {
  encodeSignal,
  type LinkStatus,
  type StatusReport,
  type TrustAnswer,
  trustAnswer,
  uidOfFingerprint,
} from '@kith/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Ejabberd, KITH, KithNode, Lab, ping } from '../lab/index.ts';
import { HostileHub } from './hostile-hub.ts';
import { HubWire } from './hub-wire.ts';
import { processOf } from './processes.ts';

// What is said here of the hub's operator is what the operator can do: read, change, repeat and invent whatever passes, and sign in as anybody.

let lab: Lab;
let hub: Ejabberd;
let hostile: HostileHub;
let networks = 0;

beforeAll(async () => {
  lab = await Lab.create({ name: 'trust' });
  hub = await Ejabberd.start(lab);
  hostile = await HostileHub.open(lab, hub);
});

afterAll(async () => {
  await hostile?.close();
  await lab?.destroy();
});

interface Network {
  group: string;
  /** Its hub lies. */
  alice: KithNode;
  bob: KithNode;
  /** Signs in to bob's account with a key of its own. */
  mallory: KithNode;
  address: (who: 'alice' | 'bob') => string;
  bobs: string;
}

/** Alice behind the lying hub, bob, and mallory in bob's name; nobody runs yet. */
async function network(trust: 'first-use' | 'strict'): Promise<Network> {
  const number = ++networks;
  const group = `group-${number}`;
  await hub.createGroup(group);
  const node = async (host: string, user: string, last: number, server?: string): Promise<KithNode> =>
    KithNode.create(lab, hub, await lab.host(`${host}-${number}`), {
      ...{ user: `${user}-${number}`, password: 'secret', ip4: `172.31.${number}.${last}/24`, group },
      ...(server === undefined ? {} : { server }),
      config: { security: { trust } },
    });
  for (const user of ['alice', 'bob']) {
    await hub.register(`${user}-${number}`, 'secret');
    await hub.addToGroup(`${user}-${number}`, group);
  }
  return {
    group,
    alice: await node('alice', 'alice', 1, `xmpps://${hub.domain}:${HostileHub.PORT}`),
    bob: await node('bob', 'bob', 2),
    mallory: await node('mallory', 'bob', 3),
    address: (who) => `172.31.${number}.${who === 'alice' ? 1 : 2}`,
    bobs: hub.jid(`bob-${number}`),
  };
}

const linkTo = (uid: string) => (status: StatusReport) => status.links.find((link) => link.uid === uid);
const is = (uid: string, state: LinkStatus['state']) => (status: StatusReport) =>
  linkTo(uid)(status)?.state === state;
const onlineLinks = ({ links }: StatusReport) => links.filter((link) => link.state === 'online');

async function uidOf(node: KithNode): Promise<string> {
  const { node: self } = await node.waitUntil('known by its UID', (status) => status.node.uid !== null);
  return self.uid ?? '';
}

async function fingerprintOf(node: KithNode): Promise<string> {
  return (await trust(node, 'list')).self.fingerprint ?? '';
}

/** `kith trust … --json`; fails when its exit code is another one than expected. */
async function trust(node: KithNode, ...args: string[]): Promise<TrustAnswer> {
  const { code, stdout, stderr } = await kithTrust(node, ...args, '--json');
  if (code !== 0) throw new Error(`kith trust ${args.join(' ')}: ${code}: ${stderr}`);
  return trustAnswer.parse(JSON.parse(stdout));
}

const kithTrust = (node: KithNode, ...args: string[]) =>
  node.host.exec(process.execPath, [KITH, 'trust', ...args, '-c', node.configFile], { timeoutMs: 30_000 });

async function codes(node: KithNode, name: string): Promise<(string | null)[]> {
  return (await trust(node, 'verify', name)).nodes.map((each) => each.code);
}

async function pings(net: Network): Promise<number> {
  const { received } = await ping(net.alice.host, net.address('bob'), {
    ...{ count: 10, intervalMs: 100, patienceMs: 3_000 },
  });
  return received;
}

/** Resident memory of a node's controller, MiB. */
async function controllerMemory(node: KithNode): Promise<number> {
  const status = await readFile(`/proc/${await processOf(node.host, 'controller')}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
}

test('first-use: a known member keeps its place against everything that the hub’s operator tries', async () => {
  const net = await network('first-use');
  const { alice, bob, mallory } = net;
  await Promise.all([alice.up(), bob.up()]);
  const bobsUid = await uidOf(bob);
  await alice.waitUntil('linked to bob', is(bobsUid, 'online'));
  expect(linkTo(bobsUid)(await alice.status())?.trust).toBe('pinned');

  // The operator signs in as bob, with a key of its own.
  await mallory.up();
  const mallorysUid = await uidOf(mallory);
  const shown = await alice.waitUntil('showing the new node', is(mallorysUid, 'refused'));
  expect(linkTo(mallorysUid)(shown)).toMatchObject({
    trust: 'new',
    detail: `unverified new node of ${net.bobs}; if it is really theirs: kith trust accept ${net.bobs} ${mallorysUid}`,
  });
  expect(await alice.statusText()).toContain(`kith trust accept ${net.bobs}`);
  // Mallory is the first node of alice's that it meets, so it tries; alice does not answer with more than a refusal.
  await mallory.waitUntil('refused', (status) =>
    status.links.some(({ detail }) => detail?.includes('this node is new to it') ?? false),
  );
  expect(onlineLinks(await mallory.status())).toEqual([]);
  expect(is(bobsUid, 'online')(await alice.status())).toBe(true);
  expect(await pings(net)).toBeGreaterThan(5);

  // The hub passes bob's signals off as mallory's, while bob's own node begins anew.
  const swap = [
    { from: bobsUid, to: mallorysUid },
    { from: await fingerprintOf(bob), to: await fingerprintOf(mallory) },
  ];
  await mallory.down();
  await bob.down();
  await alice.waitUntil('without bob', (status) => onlineLinks(status).length === 0);
  await hostile.order({ do: 'replace', pairs: swap });
  await bob.up();
  await alice.waitUntil('showing the swapped node', is(mallorysUid, 'refused'));
  expect(onlineLinks(await alice.status())).toEqual([]);

  // It swaps the fingerprint alone, so that UID and fingerprint do not fit, then only what lies beyond the UID's 160 bits.
  const fingerprint = await fingerprintOf(bob);
  const tail = fingerprint.slice(60);
  const otherTail = [...tail].map((char) => (char === ':' ? ':' : char === '0' ? '1' : '0')).join('');
  for (const [pairs, failure] of [
    [swap.slice(1), /refused the signal: bad-request/],
    [[{ from: tail, to: otherTail }], /ICE or DTLS failed/],
  ] as const) {
    await hostile.order({ do: 'replace', pairs: [...pairs] });
    // A cut makes bob's node announce itself again.
    await hostile.order({ do: 'cut' });
    await alice.waitUntil('back at the hub', (status) => status.hub.state === 'online');
    await bob.waitUntil('failing', (status) => failure.test(status.links[0]?.detail ?? ''), 60_000);
    expect(onlineLinks(await alice.status())).toEqual([]);
  }

  // Honest again, all is as before, without anybody's help.
  await hostile.order({ do: 'replace', pairs: [] });
  await alice.waitUntil('linked to bob again', is(bobsUid, 'online'), 90_000);
  expect((await trust(alice, 'list')).nodes.filter((node) => node.trust !== 'new')).toMatchObject([
    { name: net.bobs, uid: bobsUid, trust: 'pinned', fingerprint },
  ]);
  for (const node of [alice, bob]) await node.down();
});

test('first-use: old signals, invented nodes and members, and a flood of all of it leave the links alone', async () => {
  const net = await network('first-use');
  const { alice, bob } = net;
  await Promise.all([alice.up(), bob.up()]);
  const bobsUid = await uidOf(bob);
  const alicesUid = await uidOf(alice);
  await alice.waitUntil('linked to bob', is(bobsUid, 'online'));
  const to = `to='${hub.jid(`alice-${networks}`)}/kith-${alicesUid}'`;
  const ghost = `ghost{i}@${hub.domain}`;
  const presence = (name: string) => `<presence from='${name}/kith-{uid}' ${to}/>`;
  const request = (name: string) =>
    `<iq type='set' id='{id}' from='${name}/kith-{uid}' ${to}><query xmlns='jabber:iq:tincan'><type>con_req</type><data>nonsense</data></query></iq>`;
  const push = `<iq type='set' id='{id}' ${to}><query xmlns='jabber:iq:roster'><item jid='${ghost}' subscription='both'><group>${net.group}</group></item></query></iq>`;

  // What bob said in an earlier life, again and again.
  await bob.down();
  await alice.waitUntil('without bob', (status) => onlineLinks(status).length === 0);
  await bob.up();
  await alice.waitUntil('linked to bob', is(bobsUid, 'online'));
  expect(await hostile.order({ do: 'replay', times: 20 })).toBeGreaterThan(20);
  await alice.waitUntil('linked to bob', is(bobsUid, 'online'), 60_000);
  expect(await pings(net)).toBeGreaterThan(5);

  const before = await controllerMemory(alice);
  const running = pings(net);
  // Changed keys of a known member, members that do not exist, and signals of all of them.
  await hostile.order({ do: 'flood', stanza: presence(net.bobs), from: 0, to: 5_000 });
  await hostile.order({ do: 'flood', stanza: push, from: 0, to: 300 });
  await hostile.order({ do: 'flood', stanza: presence(ghost), from: 0, to: 300 });
  await hostile.order({ do: 'flood', stanza: request(net.bobs), from: 0, to: 10_000 });
  expect(await running).toBeGreaterThan(5);
  const after = await alice.waitUntil(
    'through with the flood',
    ({ counters }) => (counters.refused_flood ?? 0) > 0 && (counters.refused_untrusted ?? 0) > 0,
  );
  expect(is(bobsUid, 'online')(after)).toBe(true);
  // Eight nodes that call themselves bob's are remembered, two are shown.
  expect(
    after.links.filter(({ name, trust: level }) => name === net.bobs && level === 'new').length,
  ).toBeLessThan(3);
  expect(
    (await trust(alice, 'list')).nodes.filter(({ name }) => name === net.bobs).length,
  ).toBeLessThanOrEqual(9);
  expect((await trust(alice, 'list')).nodes.filter((node) => node.trust === 'pinned')).toHaveLength(1);
  // A hundred megabytes would be unbounded queues; caches of Node's take some tens.
  expect((await controllerMemory(alice)) - before).toBeLessThan(100);
  expect(await pings(net)).toBeGreaterThan(5);
  expect(onlineLinks(after).map(({ uid }) => uid)).toEqual([bobsUid]);
  for (const node of [alice, bob]) await node.down();
});

test('a member who floods others with signals, in bob’s name too, is heard out by its share, and nobody else notices', async () => {
  const net = await network('first-use');
  const { alice, bob } = net;
  await hub.register('eve', 'secret');
  await hub.addToGroup('eve', net.group);
  await Promise.all([alice.up(), bob.up()]);
  const bobsUid = await uidOf(bob);
  await alice.waitUntil('linked to bob', is(bobsUid, 'online'));
  const to = `${(await alice.status()).node.jid}/kith-${await uidOf(alice)}`;
  const running = pings(net);
  // A key of its own that it cannot prove, and bob's.
  const wire = await HubWire.open(lab, hub.host, hub.ports.tls);
  const evesFpr = Array(32).fill('EE').join(':');
  for (const fpr of [evesFpr, await fingerprintOf(bob)]) {
    const uid = uidOfFingerprint(fpr);
    const eve = new XmppSession({
      jid: hub.jid('eve'),
      password: 'secret',
      server: `xmpps://${wire.address}`,
      ca: await readFile(hub.caFile, 'utf8'),
      resource: `kith-${uid}`,
      log: createLogger('eve', 'silent'),
    });
    try {
      const signedIn = new Promise<void>((resolve) => {
        eve.on('state', ({ state }) => {
          if (state === 'online') resolve();
        });
      });
      eve.start();
      await signedIn;
      const request = encodeSignal({
        ...{ v: 1, uid, fpr, attempt: 1 },
        cas: '0:1:udp:203.0.113.4:5000:1:abcd:0123456789012345678901:local::0:1',
        security: { mode: 'never', groups: [], without_common_group: 'plain' },
      });
      for (let sent = 0; sent < 600; sent += 50) {
        const batch = Array.from({ length: 50 }, () => eve.sendSignal(to, 'con_req', request));
        await Promise.allSettled(batch);
      }
    } finally {
      await eve.stop();
    }
  }
  await wire.close();
  expect(await running).toBeGreaterThan(5);
  const status = await alice.status();
  expect(onlineLinks(status).map((link) => link.uid)).toEqual([bobsUid]);
  expect(status.counters.refused_flood).toBeGreaterThan(100);
  expect(status.counters.refused_uid_of_other).toBeGreaterThan(500);
  expect((await trust(alice, 'list')).nodes.filter((node) => node.trust === 'pinned')).toHaveLength(1);
  for (const node of [alice, bob]) await node.down();
});

test('first-use: a second machine waits until it is accepted, and a forgotten one is met anew', async () => {
  const net = await network('first-use');
  const { alice, bob, mallory: second } = net;
  await Promise.all([alice.up(), bob.up()]);
  const bobsUid = await uidOf(bob);
  await alice.waitUntil('linked to bob', is(bobsUid, 'online'));
  await second.up();
  const uid = await uidOf(second);
  await alice.waitUntil('showing the new node', is(uid, 'refused'));
  const accepted = await kithTrust(alice, 'accept', net.bobs);
  expect(accepted).toMatchObject({ code: 0, stdout: `${net.bobs}: node ${uid} is accepted\n` });
  await alice.waitUntil('linked to both', (status) => onlineLinks(status).length === 2);
  // A pin that is taken away ends its link; while another one is there, the node needs a person again.
  await trust(alice, 'forget', net.bobs, uid);
  await alice.waitUntil('without the second', is(uid, 'refused'));
  expect(onlineLinks(await alice.status()).map((link) => link.uid)).toEqual([bobsUid]);
  expect(await kithTrust(alice, 'accept', 'nobody')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`no new node of nobody@${hub.domain} was seen`),
  });
  expect((await kithTrust(alice, 'accept', net.bobs, 'abc')).code).toBe(2);
  for (const node of [alice, bob, second]) await node.down();
  expect((await kithTrust(alice, 'list')).code).toBe(3);
});

test('strict: nobody gets a link before the codes were compared, and a swapped key shows in them', async () => {
  const net = await network('strict');
  const { alice, bob, mallory } = net;
  await Promise.all([alice.up(), bob.up(), mallory.up()]);
  const [alicesUid, bobsUid, mallorysUid] = [await uidOf(alice), await uidOf(bob), await uidOf(mallory)];
  const alices = (await alice.status()).node.jid;
  await alice.waitUntil(
    'showing both',
    (status) => is(bobsUid, 'refused')(status) && is(mallorysUid, 'refused')(status),
  );
  expect((await alice.status()).trust).toMatchObject({ mode: 'strict', pinned: 0, waiting: 2 });
  expect(await kithTrust(alice, 'verify', net.bobs, '--confirm')).toMatchObject({ code: 1 });
  await mallory.down();

  // The hub puts mallory in bob's place: what alice would read out is not what bob reads.
  await hostile.order({ do: 'replace', pairs: [{ from: bobsUid, to: mallorysUid }] });
  await hostile.order({ do: 'cut' });
  await alice.waitUntil('back at the hub', (status) => status.hub.state === 'online');
  const bobs = await codes(bob, alices);
  expect(bobs).toEqual([expect.stringMatching(/^(?:\d{5} ?){8}$/)]);
  const malicious = await trust(alice, 'verify', net.bobs, mallorysUid);
  expect(malicious.nodes.map(({ code }) => code)).not.toEqual(bobs);

  await hostile.order({ do: 'replace', pairs: [] });
  const honest = await trust(alice, 'verify', net.bobs, bobsUid);
  expect(honest.nodes.map(({ code }) => code)).toEqual(bobs);
  expect(onlineLinks(await alice.status())).toEqual([]);
  expect((await alice.status()).counters.links_requested).toBe(0);

  await trust(alice, 'verify', net.bobs, bobsUid, '--confirm');
  await trust(bob, 'verify', alices, alicesUid, '--confirm');
  await hostile.order({ do: 'cut' });
  await alice.waitUntil('linked to bob', is(bobsUid, 'online'), 60_000);
  expect(linkTo(bobsUid)(await alice.status())?.trust).toBe('verified');
  expect(await pings(net)).toBeGreaterThan(5);
  expect((await alice.statusText()).split('\n')[0]).toContain('trust strict');

  // Invented nodes and members get no link attempt at all.
  const requested = (await alice.status()).counters.links_requested;
  const to = `to='${alices}/kith-${alicesUid}'`;
  await hostile.order({
    do: 'flood',
    stanza: `<presence from='${net.bobs}/kith-{uid}' ${to}/>`,
    from: 0,
    to: 3_000,
  });
  await alice.waitUntil('through with it', ({ counters }) => (counters.trust_waiting_dropped ?? 0) > 0);
  expect((await alice.status()).counters.links_requested).toBe(requested);
  expect(onlineLinks(await alice.status()).map(({ uid }) => uid)).toEqual([bobsUid]);
  for (const node of [alice, bob]) await node.down();
});

test('a damaged file of pins stops the network and is named; put right, what was pinned still is', async () => {
  const net = await network('first-use');
  const { alice, bob } = net;
  await Promise.all([alice.up(), bob.up()]);
  const bobsUid = await uidOf(bob);
  await alice.waitUntil('linked to bob', is(bobsUid, 'online'));
  await alice.down();
  const file = join(alice.stateDir, 'controller', 'nodes.json');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.slice(0, text.length / 2));
  await expect(alice.up()).rejects.toThrow(file);
  expect(await readFile(file, 'utf8')).toBe(text.slice(0, text.length / 2));
  await writeFile(file, text);
  await alice.up();
  await alice.waitUntil('linked to bob', is(bobsUid, 'online'));
  expect((await trust(alice, 'list')).nodes).toMatchObject([{ uid: bobsUid, trust: 'pinned' }]);
  for (const node of [alice, bob]) await node.down();
});
