import type { LinkStatus, StatusReport } from '@kith/protocol';
import { expect, test } from 'vitest';
import { LinkStories } from './link-stories.ts';
import { linksNamed, withEvents, withPaths } from './path-status.ts';

const LINK: LinkStatus = {
  ...{ name: 'bob@vpn.test', uid: 'b'.repeat(40), address: null, state: 'connecting', security: null },
  ...{ why: null, carrier: null, path: null, rtt_ms: null, rx_bytes: 0, tx_bytes: 0, last_heard_ms: null },
  detail: null,
};
const OTHER: LinkStatus = { ...LINK, name: 'carol@vpn.test', uid: 'c'.repeat(40) };
const REPORT: StatusReport = {
  schema: 1,
  network: 'demo',
  node: {
    ...{ uid: null, jid: 'alice@vpn.test', ip4: null, mac: null, controller_uptime_ms: 0 },
    network: { v: 1, ip4: 'silent', ip6: 'none' },
  },
  hub: { state: 'online', server: '', since_ms: 0, detail: null, retry_in_ms: null },
  tincan: { running: true, instance: null, detail: null },
  ...{ tap: null, members: 2, links: [LINK, OTHER], counters: {} },
};

test('each link is explained by the networks of both ends', () => {
  const view = {
    ...{ uid: LINK.uid, member: LINK.name, present: true, state: { is: 'connecting', since: 0 } as const },
    ...{ why: '', lastFailure: null, answered: true, network: null },
  };
  const { links } = withPaths(REPORT, { measured: [], peers: [view], servers: [], now: 4_000 });
  expect(links[0]?.why_path).toBe(
    'not connected: this node has no UDP, and no TURN server over TCP is known',
  );
});

test('a node is named by its JID, the part before the @, or the first digits of its UID', () => {
  expect(linksNamed([LINK, OTHER], 'Bob')).toEqual([LINK]);
  expect(linksNamed([LINK, OTHER], 'carol@vpn.test')).toEqual([OTHER]);
  expect(linksNamed([LINK, OTHER], 'cccc')).toEqual([OTHER]);
  expect(linksNamed([LINK, OTHER], 'ccc')).toEqual([]);
  expect(linksNamed([LINK, OTHER], 'dave')).toEqual([]);
});

test('events are told of the links that were asked for, also when tincan does not answer', async () => {
  const stories = new LinkStories();
  stories.add(LINK.uid, 'con_req of attempt 1 sent');
  const { links } = await withEvents(REPORT, 'bob', stories, () => Promise.reject(new Error('silent')));
  expect(links[0]?.events?.map(({ what }) => what)).toEqual(['con_req of attempt 1 sent']);
  expect(links[1]).not.toHaveProperty('events');
});
