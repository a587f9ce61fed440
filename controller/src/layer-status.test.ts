import type { LinkStatus, StatusReport } from '@kith/protocol';
import { expect, test } from 'vitest';
import { withLayers } from './layer-status.ts';

const link = (name: string, change: Partial<LinkStatus> = {}): LinkStatus => ({
  ...{ name, uid: name.padEnd(40, '0'), address: null, state: 'online', security: null, why: null },
  ...{ carrier: null, path: null, rtt_ms: null, rx_bytes: 0, tx_bytes: 0, last_heard_ms: null, detail: null },
  ...change,
});

function statusOf(own: 2 | 3, links: LinkStatus[], layers: Record<string, 2 | 3 | undefined>): StatusReport {
  const report: StatusReport = {
    ...{ schema: 1, network: 'demo', tap: null, members: 2, counters: {}, links },
    node: { uid: null, jid: 'a@x', ip4: null, mac: null, controller_uptime_ms: 0 },
    hub: { state: 'online', server: 'xmpp://x', since_ms: 0, detail: null, retry_in_ms: null },
    tincan: { running: true, instance: null, detail: null },
  };
  const measured = Object.entries(layers).map(([name, layer]) => ({ uid: name.padEnd(40, '0'), layer }));
  return withLayers(report, own, measured);
}

test('two layers in one network are named on both sides: what works, and what to do', () => {
  for (const [own, theirs] of [
    [2, 3],
    [3, 2],
  ] as const) {
    const status = statusOf(own, [link('b')], { b: theirs });
    expect(status.node.layer).toBe(own);
    expect(status.links[0]).toMatchObject({
      layer: theirs,
      detail: `it runs layer ${theirs} and this node layer ${own}: IP packets pass between the two, broadcasts, multicasts and other protocols do not; give both configs the same network.layer`,
    });
  }
});

test('the same layer, one that was not said, and a link that is not there are no news; what is worse stays said', () => {
  const links = [link('b'), link('c'), link('d', { state: 'idle' }), link('e', { detail: 'conflict' })];
  const status = statusOf(3, links, { b: 3, c: undefined, d: 2, e: 2 });
  expect(status.links.map(({ layer, detail }) => [layer, detail])).toEqual([
    [3, null],
    [null, null],
    [2, null],
    [2, 'conflict'],
  ]);
});
