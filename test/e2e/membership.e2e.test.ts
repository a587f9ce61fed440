import type { StatusReport } from '@kith/protocol';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Ejabberd, KithNode, Lab, ping } from '../lab/index.ts';
import { processOf } from './processes.ts';

// The rows of "What happens when" in docs/NETWORKS.md, on a real ejabberd.

const USERS = ['alice', 'bob', 'carol'];
const GROUP = 'friends';
const ADDRESSES = new Map(USERS.map((user, index) => [user, `172.31.0.${index + 1}`]));
const addressOf = (user: string): string => ADDRESSES.get(user) ?? '';

let lab: Lab;
let hub: Ejabberd;
const nodes = new Map<string, KithNode>();

const linkTo = (status: StatusReport, user: string) =>
  status.links.find((link) => link.name === hub.jid(user));
const nodeOf = (user: string): KithNode => {
  const node = nodes.get(user);
  if (node === undefined) throw new Error(`no node of ${user}`);
  return node;
};

async function makeNode(user: string): Promise<KithNode> {
  await hub.register(user, `${user}-password`);
  const node = await KithNode.create(lab, hub, await lab.host(user), {
    ...{ user, password: `${user}-password`, ip4: `${addressOf(user)}/24`, group: GROUP },
  });
  nodes.set(user, node);
  return node;
}

const isState = (user: string, other: string, state: string) =>
  nodeOf(user).waitUntil(`${state} to ${other}`, (status) => linkTo(status, other)?.state === state);

/** Whether nothing goes from one to the other any more. */
async function isCut(from: string, to: string): Promise<boolean> {
  const figures = await ping(nodeOf(from).host, addressOf(to), { count: 3, intervalMs: 100 });
  return figures.received === 0;
}

async function reaches(from: string, to: string): Promise<boolean> {
  const options = { count: 5, intervalMs: 100, patienceMs: 3_000 };
  return (await ping(nodeOf(from).host, addressOf(to), options)).received > 0;
}

async function linked(one: string, other: string): Promise<void> {
  await isState(one, other, 'online');
  await isState(other, one, 'online');
}

/** Cuts a host off from the hub, not from the other nodes, until the returned function is called. */
async function cutFromHub(user: string): Promise<() => Promise<void>> {
  const { host } = nodeOf(user);
  const rules = [
    'table inet away {',
    '  chain output {',
    '    type filter hook output priority 0',
    `    ip daddr ${hub.host.ip4} meta l4proto tcp reject with tcp reset`,
    '  }',
    '}',
  ].join('\n');
  await host.run('nft', ['-f', '-'], { input: rules });
  return async () => {
    await host.run('nft', ['delete', 'table', 'inet', 'away']);
  };
}

beforeAll(async () => {
  lab = await Lab.create({ name: 'members' });
  hub = await Ejabberd.start(lab);
  await hub.createGroup(GROUP);
  for (const user of USERS) await makeNode(user);
  for (const user of ['alice', 'bob']) await hub.addToGroup(user, GROUP);
  await Promise.all(USERS.map((user) => nodeOf(user).up()));
});

afterAll(async () => {
  await lab?.destroy();
});

beforeEach(async () => {
  await linked('alice', 'bob');
});

test('joined: whom the operator adds to the group is linked with everybody, without anybody’s doing', async () => {
  expect(linkTo(await nodeOf('alice').status(), 'carol')).toBeUndefined();
  await hub.addToGroup('carol', GROUP);
  await linked('alice', 'carol');
  await linked('bob', 'carol');
  expect(await reaches('carol', 'alice')).toBe(true);
});

test('left: whom the operator removes loses its links at once, on both ends, and no other link suffers', async () => {
  await hub.removeFromGroup('carol', GROUP);
  const left = (status: StatusReport) => linkTo(status, 'carol') === undefined;
  await Promise.all(['alice', 'bob'].map((user) => nodeOf(user).waitUntil('without carol', left)));
  await nodeOf('carol').waitUntil('alone', ({ links }) => links.every(({ state }) => state !== 'online'));
  expect(await isCut('alice', 'carol')).toBe(true);
  expect(await reaches('alice', 'bob')).toBe(true);
});

test('blocked: whom a member blocks loses its link with that member alone, and gets it back with the block’s end', async () => {
  await hub.addToGroup('carol', GROUP);
  await linked('alice', 'carol');
  await linked('bob', 'carol');
  const { node } = await nodeOf('alice').status();
  const say = (name: string) =>
    hub.sendAs(
      'alice',
      `kith-${node.uid}`,
      `<iq type='set' id='block-1'><${name} xmlns='urn:xmpp:blocking'><item jid='${hub.jid('carol')}'/></${name}></iq>`,
    );
  await say('block');
  await nodeOf('alice').waitUntil('without carol', (status) => linkTo(status, 'carol') === undefined);
  await nodeOf('carol').waitUntil('not linked', (status) => linkTo(status, 'alice')?.state !== 'online');
  expect(await isCut('carol', 'alice')).toBe(true);
  expect(linkTo(await nodeOf('carol').status(), 'bob')?.state).toBe('online');
  await say('unblock');
  await linked('alice', 'carol');
  expect(await reaches('carol', 'alice')).toBe(true);
});

test('presence lost: the link stays as long as it works, and the status does not say otherwise', async () => {
  await linked('bob', 'carol');
  const restore = await cutFromHub('carol');
  try {
    await hub.kick('carol');
    await nodeOf('carol').waitUntil('away from the hub', (status) => status.hub.state !== 'online');
    await nodeOf('bob').host.exec('sleep', ['1']);
    expect(linkTo(await nodeOf('bob').status(), 'carol')?.state).toBe('online');
    expect(await reaches('bob', 'carol')).toBe(true);
  } finally {
    await restore();
  }
  await nodeOf('carol').waitUntil('back', (status) => status.hub.state === 'online', 60_000);
  await linked('bob', 'carol');
});

test('revoked while the hub was away for both ends: the link ends when it is back', async () => {
  await linked('bob', 'carol');
  const restores = [await cutFromHub('bob'), await cutFromHub('carol')];
  try {
    for (const user of ['bob', 'carol']) {
      await hub.kick(user);
      await nodeOf(user).waitUntil('away from the hub', (status) => status.hub.state !== 'online');
    }
    await hub.removeFromGroup('carol', GROUP);
    await nodeOf('bob').host.exec('sleep', ['1']);
    // Nobody has told them.
    expect(linkTo(await nodeOf('bob').status(), 'carol')?.state).toBe('online');
    expect(await reaches('bob', 'carol')).toBe(true);
  } finally {
    for (const restore of restores) await restore();
  }
  await nodeOf('bob').waitUntil('without carol', (status) => linkTo(status, 'carol') === undefined, 60_000);
  await nodeOf('carol').waitUntil(
    'alone',
    ({ links }) => links.every(({ state }) => state !== 'online'),
    60_000,
  );
  expect(await isCut('bob', 'carol')).toBe(true);
});

test('the whole hub away: links go on, and lost ones wait for it', async () => {
  await hub.stop();
  await Promise.all(
    ['alice', 'bob'].map((user) =>
      nodeOf(user).waitUntil('without hub', ({ hub: { state } }) => state !== 'online'),
    ),
  );
  expect(await reaches('alice', 'bob')).toBe(true);
  process.kill(await processOf(nodeOf('alice').host, 'tincan'), 'SIGKILL');
  await nodeOf('bob').waitUntil('without alice', (status) => linkTo(status, 'alice')?.state !== 'online');
  await hub.start();
  // Half a minute may pass between two tries to sign in: the tests before this one gave some nodes several losses in a row.
  for (const user of ['alice', 'bob', 'carol'])
    await nodeOf(user).waitUntil('at the hub', ({ hub: { state } }) => state === 'online', 90_000);
  await linked('alice', 'bob');
  expect(await reaches('alice', 'bob')).toBe(true);
});

test('account deleted: its links end on both ends, and its node says why it cannot come back', async () => {
  await hub.addToGroup('carol', GROUP);
  await linked('alice', 'carol');
  await hub.unregister('carol');
  await nodeOf('alice').waitUntil(
    'without carol',
    (status) => linkTo(status, 'carol')?.state !== 'online',
    60_000,
  );
  await nodeOf('carol').waitUntil(
    'told that it has no account',
    ({ hub: { state, detail }, links }) =>
      state !== 'online' &&
      detail?.includes('User removed') === true &&
      links.every((link) => link.state !== 'online'),
  );
  expect(await isCut('alice', 'carol')).toBe(true);
  expect(await reaches('alice', 'bob')).toBe(true);
});
