import type { LinkStatus, StatusReport } from '@kith/protocol';
import { formatTable, printable } from './table.ts';
import { formatBytes, formatDuration, formatRtt } from './units.ts';

const HEADER = ['NAME', 'ADDRESS', 'STATE', 'SECURITY', 'PATH', 'RTT', 'RX', 'TX'] as const;
const RIGHT_ALIGNED: ReadonlySet<number> = new Set([5, 6, 7]);
/** Stands for what is not known or does not apply. */
const NONE = '-';
/** Hex digits of a UID that tell two nodes of one member apart at a glance. */
const SHORT_UID = 8;

/** What `kith status` prints for people: node, hub and TAP, one line each; the table of links; then what needs attention. */
export function formatStatus(report: StatusReport): string {
  const lines = [nodeLine(report), hubLine(report), tapLine(report)];
  if (report.links.length > 0) lines.push('', ...linkTable(report.links));
  else if (report.tincan.running) lines.push('', `no links: ${whyNoLinks(report)}`);
  const warnings = statusWarnings(report);
  if (warnings.length > 0) lines.push('', ...warnings.map((warning) => `warning: ${warning}`));
  return `${lines.map(printable).join('\n')}\n`;
}

function whyNoLinks({ hub, members }: StatusReport): string {
  if (members === null)
    return hub.state === 'online' ? 'the roster is not known yet' : 'the hub has not been reached yet';
  if (members === 0) {
    return "the hub's roster names no other member of this network; is this account in the roster group of the config?";
  }
  return 'no other member node is online';
}

function nodeLine({ network, node, trust }: StatusReport): string {
  const parts = [`network ${network}`];
  if (node.jid !== '') parts.push(node.jid);
  if (node.ip4 !== null) parts.push(node.ip4);
  if (typeof node.ip6 === 'string') parts.push(node.ip6);
  if (node.uid !== null) parts.push(`node ${node.uid.slice(0, SHORT_UID)}`);
  if (trust?.mode === 'strict') parts.push('trust strict');
  return parts.join(', ');
}

/** Whether no controller answered; a controller always names its hub. */
function isSilent({ hub }: StatusReport): boolean {
  return hub.server === '';
}

function hubLine(report: StatusReport): string {
  if (isSilent(report)) return 'hub not known, the controller does not answer';
  const { hub } = report;
  const retry = hub.retry_in_ms === null ? '' : `, next try in ${formatDuration(hub.retry_in_ms)}`;
  return `hub ${hub.state} for ${formatDuration(hub.since_ms)} (${hub.server})${retry}`;
}

function tapLine({ tap, tincan }: StatusReport): string {
  if (!tincan.running) return 'tap not known, tincan does not answer';
  if (tap === null) return 'tap not there yet';
  const frames = `${tap.rx_frames} frames in, ${tap.tx_frames} out, ${tap.dropped} dropped`;
  return `tap ${tap.name} ${tap.state}, mtu ${tap.mtu}, ${frames}`;
}

function linkTable(links: readonly LinkStatus[]): string[] {
  const rows = links.map((link) => [
    nameOf(link, links),
    link.address ?? NONE,
    link.state,
    link.security ?? NONE,
    link.path ?? link.carrier ?? NONE,
    link.rtt_ms === null ? NONE : formatRtt(link.rtt_ms),
    formatBytes(link.rx_bytes),
    formatBytes(link.tx_bytes),
  ]);
  const [header = '', ...lines] = formatTable(
    HEADER,
    rows.map((row) => row.map(printable)),
    RIGHT_ALIGNED,
  );
  const explained = lines.flatMap((line, index) => [line, ...whyLine(links[index])]);
  return [header, ...explained];
}

/** Why a link that is wanted is not direct, under its row. Nodes that are away and links that nobody asks for need no excuse. */
function whyLine(link: LinkStatus | undefined): string[] {
  if (typeof link?.why_path !== 'string') return [];
  return link.state === 'online' || link.state === 'connecting' ? [`  ${printable(link.why_path)}`] : [];
}

/** The story of links, oldest event first, for `kith status NAME`. */
export function formatEvents(links: readonly LinkStatus[]): string {
  const stories = links.map((link) => {
    const path = link.path ?? link.carrier;
    const where = path === null ? '' : `, ${path}`;
    const title = `${link.name} (node ${link.uid.slice(0, SHORT_UID)}): ${link.state}${where}`;
    const why = typeof link.why_path === 'string' ? [`  ${link.why_path}`] : [];
    const events = link.events ?? [];
    const ages = events.map(({ ago_ms }) => `${formatDuration(ago_ms)} ago`);
    const width = Math.max(0, ...ages.map((age) => age.length));
    const lines = events.map(({ what }, index) => `  ${(ages[index] ?? '').padStart(width)}  ${what}`);
    return [title, ...why, ...(lines.length > 0 ? lines : ['  nothing has happened yet'])];
  });
  return `${stories.map((lines) => lines.map(printable).join('\n')).join('\n\n')}\n`;
}

function nameOf(link: LinkStatus, links: readonly LinkStatus[]): string {
  const alone = links.every((other) => other === link || other.name !== link.name);
  return alone ? link.name : `${link.name} (${link.uid.slice(0, SHORT_UID)})`;
}

function trustWarnings({ trust, links }: StatusReport): string[] {
  if (trust === undefined) return [];
  const warnings: string[] = [];
  if (trust.detail !== null) warnings.push(`what is pinned is not kept beyond a restart: ${trust.detail}`);
  const shown = links.filter((link) => link.trust === 'new' && link.state === 'refused').length;
  if (trust.waiting > shown) {
    warnings.push(`${trust.waiting - shown} more new nodes wait: kith trust list`);
  }
  return warnings;
}

/** What of a report needs someone's attention, in sentences. */
export function statusWarnings(report: StatusReport): string[] {
  const { hub, tincan, tap, links } = report;
  const warnings: string[] = [];
  if (isSilent(report)) {
    const reason = hub.detail === null ? '' : `: ${hub.detail}`;
    warnings.push(`the controller does not answer${reason}; links that are up stay up`);
  } else if (hub.state !== 'online') {
    warnings.push(
      `the hub is not reached${hub.detail === null ? '' : `: ${hub.detail}`}; links that are up stay up`,
    );
  }
  if (!tincan.running)
    warnings.push(
      `tincan does not run or does not answer${tincan.detail === null ? '' : `: ${tincan.detail}`}`,
    );
  else if (tap?.state === 'down') warnings.push(`the interface ${tap.name} is down`);
  if (tincan.running && tincan.detail !== null) warnings.push(tincan.detail);
  if (typeof report.node.detail === 'string') warnings.push(`this node's address: ${report.node.detail}`);
  warnings.push(...trustWarnings(report));
  for (const link of links) {
    const name = nameOf(link, links);
    if (link.detail !== null) warnings.push(`${name}: ${link.detail}`);
    if (link.security === 'plain') {
      warnings.push(`${name}: the link is not encrypted${link.why === null ? '' : ` (${link.why})`}`);
    }
    if (link.state === 'refused' && link.detail === null) {
      warnings.push(`${name}: the link is refused${link.why === null ? '' : ` (${link.why})`}`);
    }
  }
  return warnings;
}
