/** Bare part of a JID: everything before the first slash. */
export function bareJid(jid: string): string {
  const slash = jid.indexOf('/');
  return slash < 0 ? jid : jid.slice(0, slash);
}

/** Resource of a full JID, null for a bare one. Resources may hold slashes of their own (RFC 7622 §3.4). */
export function resourceOf(jid: string): string | null {
  const slash = jid.indexOf('/');
  return slash < 0 || slash === jid.length - 1 ? null : jid.slice(slash + 1);
}

/** Domain of a JID. */
export function domainOf(jid: string): string {
  const bare = bareJid(jid);
  return bare.slice(bare.indexOf('@') + 1);
}

/** Local part (account name), or null if the JID is a domain. */
export function localOf(jid: string): string | null {
  const at = bareJid(jid).indexOf('@');
  return at < 0 ? null : jid.slice(0, at);
}

/** Each of the three parts is at most 1023 bytes (RFC 7622 §3.1). */
const JID_MAX = 3 * 1023 + 2;

/**
 * The JID with account and domain in lower case, so that two spellings compare equal; null if it is none. Resources keep their case
 * (RFC 7622 §3.4).
 */
export function normalJid(text: string | undefined): string | null {
  if (text === undefined || text.length > JID_MAX) return null;
  const bare = bareJid(text).toLowerCase();
  // The characters that no local part may hold (RFC 7622 §3.3.1), blanks and controls; one `@` at most, nothing empty.
  if (!/^(?:[^\p{Cc}\s"&'/:<>@]+@)?[^\p{Cc}\s"&'/<>@]+$/u.test(bare)) return null;
  const resource = resourceOf(text);
  if (resource === null) return text.includes('/') ? null : bare;
  return /\p{Cc}/u.test(resource) ? null : `${bare}/${resource}`;
}
