import { isIPv4, isIPv6 } from 'node:net';

/** ::ffff:0:0/96, IPv4 addresses as an IPv6 socket sees them (RFC 4291 §2.5.5.2). */
const V4_MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);
const IP6_BYTES = 16;
const GROUPS = 8;

/** The 4 bytes of an IPv4 address in dotted decimal, or null. */
export function parseIp4(text: string): Uint8Array | null {
  return isIPv4(text) ? Uint8Array.from(text.split('.'), Number) : null;
}

/** The 16 bytes of an IPv6 address (RFC 4291 §2.2, without zone), or null. */
export function parseIp6(text: string): Uint8Array | null {
  if (!isIPv6(text) || text.includes('%')) return null;
  const [head = '', tail] = text.split('::');
  const front = groupsOf(head);
  const back = tail === undefined ? [] : groupsOf(tail);
  const bytes = new Uint8Array(IP6_BYTES);
  bytes.set(front);
  bytes.set(back, IP6_BYTES - back.length);
  return bytes;
}

/** The bytes of one side of "::", whose last group may be an IPv4 address. */
function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** 4 bytes in dotted decimal. */
export function formatIp4(bytes: Uint8Array): string {
  return bytes.join('.');
}

/** 16 bytes as RFC 5952 writes an IPv6 address: lower case, the first longest run of two or more zero groups as "::". */
export function formatIp6(bytes: Uint8Array): string {
  const groups = Array.from(
    { length: GROUPS },
    (_, index) => ((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0),
  );
  let runAt = 0;
  let runLength = 0;
  for (let at = 0; at < GROUPS; at++) {
    let length = 0;
    while (groups[at + length] === 0) length++;
    if (length > runLength) {
      runAt = at;
      runLength = length;
    }
  }
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  if (runLength < 2) return hex(groups);
  return `${hex(groups.slice(0, runAt))}::${hex(groups.slice(runAt + runLength))}`;
}

/** Whether 16 bytes are an IPv4 address in IPv6 clothes. */
export function isV4Mapped(bytes: Uint8Array): boolean {
  return V4_MAPPED_PREFIX.every((byte, index) => bytes[index] === byte);
}

/** An IPv4 address (4 bytes) in IPv6 clothes (16 bytes). */
export function toV4Mapped(ip4: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(IP6_BYTES);
  bytes.set(V4_MAPPED_PREFIX);
  bytes.set(ip4, V4_MAPPED_PREFIX.length);
  return bytes;
}
