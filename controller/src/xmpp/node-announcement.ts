import { isIPv4 } from 'node:net';
import { type Element, xml } from '@xmpp/client';
import { NS } from './namespaces.ts';

/** What a node tells the members with its presence. */
export interface NodeAnnouncement {
  /** Its own IPv4 address in the network; null: none (yet). */
  ip4: string | null;
  /** `static`: a person wrote the address down; `auto`: the node chose it. */
  kind: 'static' | 'auto';
}

/** `<node xmlns='urn:kith:node:1' ip4='172.31.0.1' kind='static'/>`, the child of a presence that says where its node is. */
export function announcementElement({ ip4, kind }: NodeAnnouncement): Element {
  return xml('node', { xmlns: NS.node, kind, ...(ip4 === null ? {} : { ip4 }) });
}

/** What a presence says of its node; undefined where it says nothing, or nothing that makes sense. */
export function parseAnnouncement(presence: Element): NodeAnnouncement | undefined {
  const [node, second] = presence.getChildren('node', NS.node);
  if (node === undefined || second !== undefined) return undefined;
  const { ip4, kind } = node.attrs;
  if (kind !== 'static' && kind !== 'auto') return undefined;
  if (ip4 === undefined) return { ip4: null, kind };
  return isIPv4(ip4) ? { ip4, kind } : undefined;
}
