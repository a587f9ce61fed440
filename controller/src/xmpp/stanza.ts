import { type Element, xml } from '@xmpp/client';
import { normalJid, resourceOf } from './jid.ts';
import { NS } from './namespaces.ts';
import { parseAnnouncement } from './node-announcement.ts';
import type { IceServer, PresenceChange, RosterItem, Subscription } from './types.ts';

/**
 * A contact list beyond this is cut: with 150 bytes an entry, the largest stanza that we take holds about as many.
 */
const ROSTER_MAX = 25_000;
/** Groups of one contact; more serve no network. */
const GROUPS_MAX = 256;
/** Offered STUN and TURN services; node-datachannel uses three at most. */
const SERVICES_MAX = 32;
/** Credentials and names that the hub makes: some tens of characters. */
const TEXT_MAX = 1024;

const SUBSCRIPTIONS: readonly Subscription[] = ['none', 'to', 'from', 'both', 'remove'];

function rosterItem(item: Element): RosterItem | null {
  const jid = normalJid(item.attrs.jid);
  const given = item.attrs.subscription ?? 'none';
  const subscription = SUBSCRIPTIONS.find((name) => name === given);
  if (jid === null || subscription === undefined) return null;
  const groups = item
    .getChildren('group')
    .slice(0, GROUPS_MAX)
    .map((group) => group.text());
  return {
    jid,
    name: item.attrs.name?.slice(0, TEXT_MAX) ?? null,
    groups: [...new Set(groups)],
    subscription,
  };
}

/** Contacts in the answer to a roster request; entries that make no sense are left out. */
export function parseRoster(iq: Element): RosterItem[] {
  const query = iq.getChild('query', NS.roster);
  const items = query?.getChildren('item').slice(0, ROSTER_MAX) ?? [];
  return items.flatMap((item) => rosterItem(item) ?? []).filter((item) => item.subscription !== 'remove');
}

/** The one contact of a roster push (RFC 6121 §2.1.6: exactly one); null if it makes no sense. */
export function parsePush(query: Element): RosterItem | null {
  const [item, second] = query.getChildren('item');
  return item === undefined || second !== undefined ? null : rosterItem(item);
}

/**
 * What a presence says about the availability of a resource; null if it is about something else (subscriptions, errors, a
 * bare JID, which names no node).
 */
export function parsePresence(presence: Element): PresenceChange | null {
  const from = normalJid(presence.attrs.from);
  if (from === null || resourceOf(from) === null) return null;
  const type = presence.attrs.type;
  if (type === 'unavailable') return { from, available: false };
  if (type !== undefined) return null;
  const node = parseAnnouncement(presence);
  return { from, available: true, ...(node === undefined ? {} : { node }) };
}

/** Condition of a stanza error (RFC 6120 §8.3.3), or `undefined-condition` where the sender named none. */
export function errorCondition(stanza: Element): string {
  const children = stanza.getChild('error')?.getChildElements() ?? [];
  const condition = children.find((child) => child.getNS() === NS.stanzaErrors && child.getName() !== 'text');
  return condition?.getName().slice(0, 64) ?? 'undefined-condition';
}

function iceServer(service: Element): IceServer | null {
  const { type, host, port, transport, username, password, expires } = service.attrs;
  if (type !== 'stun' && type !== 'turn' && type !== 'turns') return null;
  // Host names, IPv4 and IPv6 literals, nothing that could smuggle another field into an ICE URL.
  if (host === undefined || !/^[A-Za-z0-9._:-]{1,255}$/.test(host)) return null;
  // Without a port the protocol's own holds: 3478, and 5349 under TLS (RFC 8656 §14).
  const number = port === undefined ? (type === 'turns' ? 5349 : 3478) : Number(port);
  if (!Number.isInteger(number) || number < 1 || number > 65_535) return null;
  const carrier = transport ?? (type === 'turns' ? 'tcp' : 'udp');
  if (carrier !== 'udp' && carrier !== 'tcp') return null;
  const end = expires === undefined ? Number.NaN : Date.parse(expires);
  return {
    type,
    host,
    port: number,
    transport: carrier,
    ...(username === undefined ? {} : { username: username.slice(0, TEXT_MAX) }),
    ...(password === undefined ? {} : { password: password.slice(0, TEXT_MAX) }),
    ...(Number.isNaN(end) ? {} : { expires: end }),
  };
}

/** Services in the answer to an XEP-0215 request; those that make no sense are left out. */
export function parseServices(iq: Element): IceServer[] {
  const services = iq.getChild('services', NS.extdisco)?.getChildren('service').slice(0, SERVICES_MAX) ?? [];
  return services.flatMap((service) => iceServer(service) ?? []);
}

/** Answer to the request `iq`, as success. */
export function resultStanza(iq: Element): Element {
  return xml('iq', { type: 'result', to: iq.attrs.from, id: iq.attrs.id });
}

/**
 * Answer to the request `iq`, as failure. The request is not repeated in it (RFC 6120 §8.3.1 leaves that open), so that what a
 * stranger sent never comes back out of us.
 */
export function errorStanza(
  iq: Element,
  condition: string,
  type: 'cancel' | 'modify' | 'wait' = 'cancel',
): Element {
  return xml(
    'iq',
    { type: 'error', to: iq.attrs.from, id: iq.attrs.id },
    xml('error', { type }, xml(condition, { xmlns: NS.stanzaErrors })),
  );
}

/**
 * True if elements are nested deeper than `limit`. Written without recursion: the stanza of a stranger may be nested deep enough
 * to end a recursive walk with a stack overflow.
 */
export function nestedDeeper(root: Element, limit: number): boolean {
  let level: Element[] = [root];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > limit) return true;
    level = level.flatMap((element) => element.getChildElements());
  }
  return false;
}
