import { describeError } from '@kith/base';
import type { LinkStatus, StatusReport } from '@kith/protocol';
import { shellWord } from './shell-word.ts';
import type { Trust } from './trust.ts';
import type { WaitingNode } from './waiting-nodes.ts';
import { type RefuseCondition, SignalRefused } from './xmpp/index.ts';

/** Rows for nodes that wait, of one member and in all. More is for `kith trust list`: a flood must not hide the links. */
const MAX_ROWS_OF_MEMBER = 2;
const MAX_ROWS = 20;

/** What `Admission` answers to a member's node that waits for a person. */
const NOT_TRUSTED: RefuseCondition = 'not-allowed';

/** Adds to a report what each node's UID is to this node, and the nodes that wait for a person. Pure. */
export function withTrust(report: StatusReport, trust: Trust): StatusReport {
  // One key under two names gets two rows.
  const shown = new Set(report.links.map(({ name, uid }) => `${name} ${uid}`));
  const waiting = [...trust.waiting.all()].filter(
    ({ jid, uid, present }) => present && !shown.has(`${jid} ${uid}`),
  );
  const rows = rowsOf(waiting);
  const named = new Set(rows.map((row) => row.name));
  const links = report.links
    // A member of whom only a new node is there is not one of whom nothing was seen.
    .filter((link) => link.uid !== '' || !named.has(link.name))
    .map((link) => (link.uid === '' ? link : { ...link, trust: trust.level(link.uid) }));
  const pins = [...trust.known.all()];
  return {
    ...report,
    links: [...links, ...rows].sort((a, b) => a.name.localeCompare(b.name) || a.uid.localeCompare(b.uid)),
    trust: {
      mode: trust.mode,
      pinned: pins.length,
      verified: pins.filter(([, pin]) => pin.verified).length,
      waiting: trust.waiting.present().length,
      detail: trust.known.problem,
    },
    counters: { ...report.counters, ...trust.counters, trust_waiting_dropped: trust.waiting.dropped },
  };
}

function rowsOf(waiting: readonly WaitingNode[]): LinkStatus[] {
  const perMember = new Map<string, number>();
  const rows: LinkStatus[] = [];
  for (const node of waiting) {
    const count = (perMember.get(node.jid) ?? 0) + 1;
    perMember.set(node.jid, count);
    if (count <= MAX_ROWS_OF_MEMBER && rows.length < MAX_ROWS) rows.push(rowOf(node));
  }
  return rows;
}

function rowOf({ jid, uid, reason }: WaitingNode): LinkStatus {
  return {
    ...{
      name: jid,
      uid,
      address: null,
      state: 'refused',
      security: null,
      why: null,
      carrier: null,
      path: null,
    },
    ...{ rtt_ms: null, rx_bytes: 0, tx_bytes: 0, last_heard_ms: null, detail: reason, trust: 'new' },
  };
}

/** Why a signal did not reach its node, and where it did but the node does not know this one, what has to be done there. */
export function whyNotDelivered(error: unknown, self: string, uid: string): string {
  if (!(error instanceof SignalRefused)) return describeError(error);
  if (error.condition === 'resource-constraint')
    return 'it has no room for another link now, and is asked again';
  if (error.condition !== NOT_TRUSTED) return describeError(error);
  return `this node is new to it; there: kith trust accept ${shellWord(self)} ${uid} (or verify, where trust is strict)`;
}
