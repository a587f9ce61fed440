import { nativeConfig } from '@kith/config';
import type { StatusReport } from '@kith/protocol';
import { Ejabberd } from './ejabberd.ts';
import { KithNode, OVERLAY_INTERFACE } from './kith-node.ts';
import type { Lab } from './lab.ts';
import { firstReply } from './measure.ts';

export const ALICE = '172.31.0.1';
export const BOB = '172.31.0.2';
export const GROUP = 'friends';

/** Nodes link within seconds; past this the bench has failed. */
const LINK_TIMEOUT_MS = 60_000;

/** The hub and the nodes of two members of one roster group. */
export interface Pair {
  hub: Ejabberd;
  alice: KithNode;
  bob: KithNode;
}

/** Makes the hub, the accounts and both nodes' configs; no node runs yet. */
export async function makePair(lab: Lab, channelOnly = false): Promise<Pair> {
  const hub = await Ejabberd.start(lab);
  await hub.createGroup(GROUP);
  // A Kith without a direct carrier has no switch for it.
  const config: Record<string, Record<string, unknown>> = channelOnly &&
  Object.hasOwn(nativeConfig.shape, 'direct')
    ? { direct: { enabled: false } }
    : {};
  const node = async (user: string, ip4: string): Promise<KithNode> => {
    await hub.register(user, `${user}-password`);
    await hub.addToGroup(user, GROUP);
    const options = { user, password: `${user}-password`, ip4: `${ip4}/24`, group: GROUP, config };
    return KithNode.create(lab, hub, await lab.host(user), options);
  };
  return { hub, alice: await node('alice', ALICE), bob: await node('bob', BOB) };
}

/** Makes a pair and starts both nodes; resolves when they are linked and a ping was answered. */
export async function startPair(lab: Lab, channelOnly = false): Promise<Pair> {
  const pair = await makePair(lab, channelOnly);
  await Promise.all([pair.alice.up(), pair.bob.up()]);
  await untilLinked(pair);
  return pair;
}

export async function untilLinked({ alice, bob }: Pair): Promise<void> {
  await Promise.all([alice, bob].map((node) => node.waitUntil('linked', isLinked, LINK_TIMEOUT_MS)));
  await firstReply(bob.host, OVERLAY_INTERFACE, ALICE, LINK_TIMEOUT_MS);
}

export function isLinked(status: StatusReport): boolean {
  return status.hub.state === 'online' && status.links.some((link) => link.state === 'online');
}

/** What carries the frames of a node's link now, e.g. `channel host 203.0.113.2:40001`. */
export async function carrierOf(node: KithNode): Promise<string> {
  const link = (await node.status()).links[0];
  return `${link?.carrier ?? 'nothing'} ${link?.path ?? ''}`.trim();
}
