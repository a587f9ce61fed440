import type { LinkStatus, StatusReport } from '@kith/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  ALICE,
  firstReply,
  HOST_INTERFACE,
  type KithNode,
  Lab,
  makePair,
  OVERLAY_INTERFACE,
  ping,
} from '../lab/index.ts';

// A machine whose own routes lead to its peer through the network itself: a link over such an address would carry itself.

let lab: Lab;
let alice: KithNode;
let bob: KithNode;

const only = (status: StatusReport): LinkStatus | undefined => status.links[0];
const isDirect = (status: StatusReport): boolean => only(status)?.path?.startsWith('direct ') === true;
const isByIp6 = (status: StatusReport): boolean => only(status)?.path?.includes('[') === true;

const both = (what: string, wished: (status: StatusReport) => boolean): Promise<unknown> =>
  Promise.all([alice, bob].map((node) => node.waitUntil(what, wished, 30_000)));

/** Bob's routes to alice's machine lead into the network. */
async function routeInside(family: 4 | 6): Promise<void> {
  const to = family === 4 ? `${alice.host.ip4}/32` : `${alice.host.ip6}/128`;
  await bob.host.run('ip', [`-${family}`, 'route', 'add', to, 'dev', OVERLAY_INTERFACE]);
}

function refusals({ counters }: StatusReport): number {
  return counters.addresses_routed_inside ?? 0;
}

beforeAll(async () => {
  lab = await Lab.create({ name: 'inside' });
  ({ alice, bob } = await makePair(lab));
  await Promise.all([alice.up(), bob.up()]);
  await both('direct', isDirect);
  await firstReply(bob.host, OVERLAY_INTERFACE, ALICE, 20_000);
});

afterAll(async () => {
  await lab?.destroy();
});

test('a running link leaves an address as soon as the routes lead to it through the network, and the other family carries', async () => {
  const before = await bob.status();
  expect(refusals(before)).toBe(0);
  const was6 = isByIp6(before);
  await routeInside(was6 ? 6 : 4);
  // A young link may change families by itself; what is not in use is probed each few seconds, and refused then.
  await bob.waitUntil('refused', (status) => refusals(status) > 0, 30_000);
  await both('by the other family', (status) => isDirect(status) && isByIp6(status) === !was6);
  await firstReply(bob.host, OVERLAY_INTERFACE, ALICE, 10_000);
});

test('where all addresses lead inside, the pair is relayed, and a link made anew is as well', async () => {
  await routeInside(isByIp6(await bob.status()) ? 6 : 4);
  const isRelayed = (status: StatusReport): boolean =>
    only(status)?.carrier === 'direct' && only(status)?.path?.startsWith('relay ') === true;
  await both('relayed', isRelayed);
  await firstReply(bob.host, OVERLAY_INTERFACE, ALICE, 10_000);
  await alice.down();
  await alice.up();
  await both('relayed from the start', isRelayed);
  await firstReply(bob.host, OVERLAY_INTERFACE, ALICE, 10_000);
  const { received } = await ping(bob.host, ALICE, { count: 20, intervalMs: 50 });
  expect(received).toBe(20);
});

test('routes that lead outside again bring the direct path back', async () => {
  for (const [family, to] of [
    ['-4', `${alice.host.ip4}/32`],
    ['-6', `${alice.host.ip6}/128`],
  ] as const)
    await bob.host.run('ip', [family, 'route', 'del', to, 'dev', OVERLAY_INTERFACE]);
  expect(await bob.host.run('ip', ['route', 'get', alice.host.ip4])).toContain(`dev ${HOST_INTERFACE}`);
  await both('direct again', isDirect);
});
