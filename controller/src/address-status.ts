import type { LinkStatus, StatusReport, Uid } from '@kith/protocol';
import type { Addressing } from './addressing/index.ts';

/** Adds to a report where this node and the others are, and what is wrong with that. Pure. */
export function withAddresses(
  report: StatusReport,
  addressing: Addressing | undefined,
  memberOf: (uid: Uid) => string | undefined,
): StatusReport {
  const me = report.node.uid;
  if (addressing === undefined || me === null) return report;
  const nameOf = (uid: Uid): string =>
    uid === me ? 'this node' : `${memberOf(uid) ?? 'a node'} (${uid.slice(0, 8)})`;
  return {
    ...report,
    node: { ...report.node, ip6: addressing.local.ip6, detail: ownDetail(addressing, me, nameOf) },
    links: report.links.map((link) => (link.uid === '' ? link : withAddress(link, addressing, nameOf))),
  };
}

function withAddress(link: LinkStatus, addressing: Addressing, nameOf: (uid: Uid) => string): LinkStatus {
  if (!addressing.knows(link.uid)) return link;
  const { ip4, ip6 } = addressing.member(link.uid);
  const outside = addressing.outsideOf(link.uid);
  if (outside !== undefined) {
    const detail = `its address ${outside} is not in this node's network.subnet: one of the two configs is wrong`;
    return { ...link, address: outside, ip6, detail: link.detail ?? detail };
  }
  const claimed = addressing.claimOf(link.uid)?.ip4;
  const owner = claimed === undefined || claimed === null ? undefined : addressing.owner(claimed);
  const lost = owner === undefined || owner === link.uid ? null : owner;
  const detail =
    lost === null
      ? link.detail
      : `claims ${claimed}, which ${nameOf(lost)} has; nothing is sent to it under that address`;
  return { ...link, address: ip4, ip6, detail };
}

function ownDetail(addressing: Addressing, me: Uid, nameOf: (uid: Uid) => string): string | null {
  const { ip4, kind } = addressing.announcement;
  if (!addressing.isSettled) return 'an address is chosen when the hub has told of the other members';
  if (ip4 === null) return 'there is no address left in network.subnet for this node';
  const rivals = addressing.rivalsOf(me).map(nameOf).join(', ');
  if (rivals === '') return null;
  const owner = addressing.owner(ip4);
  if (owner === me || owner === undefined)
    return `${ip4} is claimed by ${rivals} too; this node has it, and nothing is sent to the other under it`;
  return kind === 'auto'
    ? `${ip4} belongs to ${nameOf(owner)}; this node takes another address in a moment`
    : `${ip4} belongs to ${nameOf(owner)}, so nothing is sent to this node under it: change network.ip4`;
}
