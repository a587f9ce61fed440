import { createLogger, SystemError } from '@kith/base';
import { type LinkStatus, type StatusReport, statusReport } from '@kith/protocol';
import { expect, test } from 'vitest';
import { KnownNodes } from './known-nodes.ts';
import { Trust } from './trust.ts';
import { whyNotDelivered, withTrust } from './trust-status.ts';
import { SignalRefused } from './xmpp/index.ts';

const uidOf = (index: number) => index.toString(16).padStart(40, '0');
const link = (name: string, uid: string): LinkStatus => ({
  ...{ name, uid, address: null, state: 'offline', security: null, why: null, carrier: null, path: null },
  ...{ rtt_ms: null, rx_bytes: 0, tx_bytes: 0, last_heard_ms: null, detail: null },
});
const report: StatusReport = {
  ...{ schema: 1, network: 'demo', tap: null, members: 2, counters: { other: 1 } },
  node: { uid: null, jid: 'me@x', ip4: null, mac: null, controller_uptime_ms: 0 },
  hub: { state: 'online', server: 's', since_ms: 0, detail: null, retry_in_ms: null },
  tincan: { running: true, instance: null, detail: null },
  links: [link('bob@x', uidOf(1)), link('carol@x', '')],
};

function bobPinned(): Trust {
  const known = new KnownNodes('/dev/null/none', createLogger('test', 'silent'));
  known.put(uidOf(1), { jid: 'bob@x', fpr: null, verified: true, since: '' });
  return new Trust('first-use', known, 'me@x');
}

test('links say what their nodes are, and a new node has a row of its own that says what to do', () => {
  const trust = bobPinned();
  trust.judge('bob@x', uidOf(2), 0);
  const whole = statusReport.parse(withTrust(report, trust));
  expect(whole.links).toMatchObject([
    { name: 'bob@x', uid: uidOf(1), trust: 'verified' },
    {
      name: 'bob@x',
      uid: uidOf(2),
      trust: 'new',
      state: 'refused',
      detail: expect.stringContaining('kith trust accept'),
    },
    { name: 'carol@x', uid: '' },
  ]);
  expect(whole.trust).toEqual({ mode: 'first-use', pinned: 1, verified: 1, waiting: 1, detail: null });
  expect(whole.counters).toMatchObject({ other: 1, trust_new_nodes: 1 });
});

test('a flood of new nodes takes two rows of a member and twenty in all, and those that went away none', () => {
  const trust = bobPinned();
  for (let i = 2; i < 8; i++) trust.judge('bob@x', uidOf(i), 0);
  expect(withTrust(report, trust).links).toHaveLength(4);
  const strict = new Trust('strict', trust.known, 'me@x');
  for (let i = 0; i < 500; i++) strict.judge(`ghost${i}@x`, uidOf(100 + i), 0);
  expect(withTrust(report, strict).links).toHaveLength(22);
  trust.waiting.allAbsent();
  expect(withTrust(report, trust).links).toHaveLength(2);
});

test('a member of whom only a new node is there is not also said to be unseen', () => {
  const trust = new Trust('strict', bobPinned().known, 'me@x');
  trust.judge('carol@x', uidOf(9), 0);
  expect(withTrust(report, trust).links.filter(({ name }) => name === 'carol@x')).toMatchObject([
    { uid: uidOf(9) },
  ]);
});

test('a peer that does not know this node is told from one that is not there', () => {
  const why = whyNotDelivered(new SignalRefused('bob@x/kith-1', 'not-allowed'), 'me@x', uidOf(3));
  expect(why).toContain(`kith trust accept me@x ${uidOf(3)}`);
  const gone = new SignalRefused('bob@x/kith-1', 'service-unavailable');
  expect(whyNotDelivered(gone, 'me@x', uidOf(3))).toContain('service-unavailable');
  const full = new SignalRefused('bob@x/kith-1', 'resource-constraint');
  expect(whyNotDelivered(full, 'me@x', uidOf(3))).toBe(
    'it has no room for another link now, and is asked again',
  );
  expect(whyNotDelivered(new SystemError('X', 'no hub'), 'me@x', uidOf(3))).toBe('no hub');
});
