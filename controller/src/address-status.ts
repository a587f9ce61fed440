import type { LinkStatus, StatusReport, Uid } from '@kith/protocol';
import type { Addressing } from './addressing/index.ts';
import { shellWord } from './shell-word.ts';

/** How people call a node. */
interface Names {
  of(uid: Uid): string;
  /** The command that takes its pin back. */
  forget(uid: Uid): string;
}

/** Adds to a report where this node and the others are, and what is wrong with that. Pure. */
export function withAddresses(
  report: StatusReport,
  addressing: Addressing | undefined,
  memberOf: (uid: Uid) => string | undefined,
): StatusReport {
  const me = report.node.uid;
  if (addressing === undefined || me === null) return report;
  const names: Names = {
    of: (uid) => (uid === me ? 'this node' : `${memberOf(uid) ?? 'a node'} (${uid.slice(0, 8)})`),
    forget: (uid) => `kith trust forget ${shellWord(memberOf(uid) ?? 'NAME')} ${uid}`,
  };
  return {
    ...report,
    node: { ...report.node, ip6: addressing.local.ip6, detail: ownDetail(addressing, me, names) },
    links: report.links.map((link) => (link.uid === '' ? link : withAddress(link, addressing, names))),
  };
}

function withAddress(link: LinkStatus, addressing: Addressing, names: Names): LinkStatus {
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
    lost === null || typeof claimed !== 'string'
      ? link.detail
      : `claims ${claimed}, which ${ownership(addressing, lost, claimed, names)}; nothing is sent to it under that address`;
  return { ...link, address: ip4, ip6, detail };
}

/** Whose an address is, for how long, and how it could change hands. */
function ownership(addressing: Addressing, owner: Uid, ip4: string, names: Names): string {
  const name = names.of(owner);
  const day = addressing.heldSince(owner, ip4)?.slice(0, 10);
  if (day === undefined) return `${name} has`;
  if (!addressing.isAway(owner)) return `${name} has had since ${day}`;
  return `is kept for ${name}, who has had it since ${day} and is away (${names.forget(owner)} would give it up)`;
}

function ownDetail(addressing: Addressing, me: Uid, names: Names): string | null {
  const { ip4, kind } = addressing.announcement;
  if (!addressing.isSettled) return 'an address is chosen when the hub has told of the other members';
  if (ip4 === null) return 'there is no address left in network.subnet for this node';
  const rivals = addressing.rivalsOf(me).map(names.of).join(', ');
  if (rivals === '') return null;
  const owner = addressing.owner(ip4);
  if (owner === me || owner === undefined)
    return `${ip4} is claimed by ${rivals} too; this node has it, and nothing is sent to the other under it`;
  if (addressing.isAway(owner)) {
    return `${ip4} ${ownership(addressing, owner, ip4, names)}: ${kind === 'auto' ? 'this node takes another address in a moment' : 'change network.ip4'}`;
  }
  return kind === 'auto'
    ? `${ip4} belongs to ${names.of(owner)}; this node takes another address in a moment`
    : `${ip4} belongs to ${names.of(owner)}, so nothing is sent to this node under it: change network.ip4`;
}
