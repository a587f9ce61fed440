import { SystemError } from '@kith/base';
import {
  Ejabberd,
  firstReply,
  type Host,
  KithNode,
  type Lab,
  measureTcp,
  OVERLAY_INTERFACE,
  ping,
} from '../lab/index.ts';

/** What `npm run demo -- --json` prints. */
export interface DemoResult {
  ok: boolean;
  /** Second node's controller online at the hub until its first ping over the overlay was answered. */
  link_up_ms: number;
  /** Mean round trip. */
  ping_ms: number;
  tcp_mbps: number;
  /** Whether the account outside of the group saw and reached nobody, and nobody saw it. */
  isolated: boolean;
  error?: string;
}

export type Say = (text: string) => void;

const GROUP = 'friends';
const ALICE = '172.31.0.1';
const BOB = '172.31.0.2';
const CAROL = '172.31.0.3';
const TCP_SECONDS = 5;
// Links come up within seconds; past this the demo has failed and says why.
const LINK_DEADLINE_MS = 30_000;

/** The nodes that exist so far, so that a failure can show their logs. */
export type Cast = KithNode[];

/** Plays the demo in an empty lab. Everything is left running; the caller ends the lab. */
export async function play(lab: Lab, cast: Cast, say: Say): Promise<DemoResult> {
  say('Setting the stage: a private ejabberd and three machines on one switch');
  const started = performance.now();
  const hub = await Ejabberd.start(lab);
  say(`  hub    ${hub.host.ip4}  ejabberd with STUN and TURN, ready after ${since(started)}`);
  for (const user of ['alice', 'bob', 'carol']) await hub.register(user, `${user}-password`);
  await hub.createGroup(GROUP);
  await hub.addToGroup('alice', GROUP);
  await hub.addToGroup('bob', GROUP);
  const nodeOf = async (user: string, ip4: string): Promise<KithNode> => {
    const host = await lab.host(user);
    const node = await KithNode.create(lab, hub, host, {
      ...{ user, password: `${user}-password`, ip4: `${ip4}/24`, group: GROUP },
    });
    cast.push(node);
    return node;
  };
  const alice = await nodeOf('alice', ALICE);
  const bob = await nodeOf('bob', BOB);
  const carol = await nodeOf('carol', CAROL);
  say(`  alice  ${alice.host.ip4}  in the group "${GROUP}", wants to be ${ALICE} among friends`);
  say(`  bob    ${bob.host.ip4}  in the group "${GROUP}", wants to be ${BOB}`);
  say(`  carol  ${carol.host.ip4}  has an account, but is not in the group; wants to be ${CAROL}`);

  say('\nalice and carol go first: kith up');
  for (const node of [alice, carol]) {
    say(indent(await node.up()));
    await node.waitUntil('online at the hub', (status) => status.hub.state === 'online');
  }

  say('\nbob follows: kith up');
  const linkUpMs = await linkUp(bob, say);
  say(`  link up: bob's first ping to alice was answered ${linkUpMs} ms after his controller was online`);

  say('\nping from bob to alice');
  const figures = await ping(bob.host, ALICE, { count: 20, intervalMs: 100 });
  if (figures.rtt === null) throw new SystemError('NO_REPLY', `no ping of ${figures.sent} was answered`);
  const { min, avg, max } = figures.rtt;
  say(
    `  ${figures.received} of ${figures.sent} answered, round trip ${min} / ${avg} / ${max} ms (least / mean / most)`,
  );

  say(`\niperf3, one TCP stream from bob to alice for ${TCP_SECONDS} s`);
  const tcp = await measureTcp(bob.host, alice.host, ALICE, TCP_SECONDS);
  say(`  ${tcp.mbps.toFixed(1)} Mbit/s, ${tcp.retransmits} segments sent again`);

  for (const node of [alice, bob, carol]) {
    say(`\nkith status on ${node.host.name}`);
    say(indent(await node.statusText()));
  }

  say('\ncarol is outside');
  const leaks = await findLeaks(alice, bob, carol, say);
  return {
    ok: leaks.length === 0,
    link_up_ms: linkUpMs,
    ping_ms: avg,
    tcp_mbps: Number(tcp.mbps.toFixed(1)),
    isolated: leaks.length === 0,
    ...(leaks.length === 0 ? {} : { error: leaks.join('; ') }),
  };
}

/** Starts a node and returns the milliseconds from its controller being online to the first ping answered by alice. */
async function linkUp(node: KithNode, say: Say): Promise<number> {
  const reply = firstReply(node.host, OVERLAY_INTERFACE, ALICE, LINK_DEADLINE_MS);
  const online = node
    .waitUntil('online at the hub', (status) => status.hub.state === 'online', LINK_DEADLINE_MS)
    .then(() => performance.now());
  const [said, onlineAt, replyAt] = await Promise.all([node.up(), online, reply]);
  say(indent(said));
  // Being online is seen by polling, up to 10 ms late.
  return Math.max(0, Math.round(replyAt - onlineAt));
}

/** Whatever shows that carol is not shut out; empty when all is well. */
async function findLeaks(alice: KithNode, bob: KithNode, carol: KithNode, say: Say): Promise<string[]> {
  const leaks: string[] = [];
  // First that she could: the wire works and she is logged in, so what keeps her out is Kith.
  if (!(await reaches(carol.host, alice.host.ip4))) {
    throw new SystemError(
      'NO_REPLY',
      'carol does not even reach alice on the switch, so her isolation shows nothing',
    );
  }
  const hers = await carol.waitUntil('online at the hub', (status) => status.hub.state === 'online');
  say(`  she is online at the hub and reaches alice's machine (${alice.host.ip4}) on the switch`);
  if (hers.links.length > 0) leaks.push(`carol has links: ${hers.links.map((link) => link.name).join(', ')}`);
  else say('  her status shows no links');
  for (const address of [ALICE, BOB]) {
    if (await reaches(carol.host, address)) leaks.push(`carol reaches ${address}`);
    else say(`  ${address} does not answer her`);
  }
  const { uid } = hers.node;
  for (const node of [alice, bob]) {
    const text = JSON.stringify(await node.status());
    if (text.includes('carol') || (uid !== null && text.includes(uid)))
      leaks.push(`${node.host.name} knows of carol`);
    else say(`  ${node.host.name}'s status knows nothing of her`);
  }
  return leaks;
}

async function reaches(from: Host, address: string): Promise<boolean> {
  return (await ping(from, address, { count: 3, intervalMs: 200 })).received > 0;
}

function since(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, '  ');
}
