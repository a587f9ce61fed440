import { type Element, xml } from '@xmpp/client';
import { normalJid } from './jid.ts';
import { NS } from './namespaces.ts';

/** Blocked addresses that we take note of; a person blocks some tens. */
const BLOCKED_MAX = 10_000;

/** What changed in the account's block list (XEP-0191): the whole list, or some of it. */
export interface BlockChange {
  what: 'all' | 'add' | 'remove';
  /** Normal JIDs: bare ones, full ones, or domains. */
  jids: string[];
}

export function blockListRequest(): Element {
  return xml('blocklist', { xmlns: NS.blocking });
}

/** The list in the answer to blockListRequest. */
export function parseBlockList(iq: Element): BlockChange {
  const list = iq.getChild('blocklist', NS.blocking);
  return { what: 'all', jids: list === undefined ? [] : jidsOf(list) };
}

/** A push of the hub; null if the element is none. XEP-0191 §3.4: `<unblock/>` without items means all. */
export function parseBlockPush(child: Element): BlockChange | null {
  if (child.is('block', NS.blocking)) return { what: 'add', jids: jidsOf(child) };
  if (!child.is('unblock', NS.blocking)) return null;
  const jids = jidsOf(child);
  return jids.length === 0 ? { what: 'all', jids: [] } : { what: 'remove', jids };
}

function jidsOf(list: Element): string[] {
  const items = list.getChildren('item', NS.blocking).slice(0, BLOCKED_MAX);
  return items.flatMap((item) => normalJid(item.attrs.jid) ?? []);
}
