import { check, systemCallError } from './errno.ts';
import { closeFd, readInto, writeFrom } from './file.ts';
import { cSocket } from './libc.ts';
import { addressOf, stableBytes } from './memory.ts';

// bits/socket.h
export const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
export const NETLINK_ROUTE = 0;
// linux/netlink.h
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLMSG_HEADER_BYTES = 16;
const NLMSG_ERROR = 2;
/** An acknowledgement is a header, an errno and the request's header; the rest is room for an extended message. */
const REPLY_BYTES = 4096;

/**
 * Sends one rtnetlink request (whole, in stable memory, NLM_F_ACK set) to the kernel and waits for its acknowledgement, which
 * rtnetlink writes before the send returns. Throws SystemError that says what was attempted.
 */
export function transact(message: Uint8Array, attempt: string): void {
  const fd = check(cSocket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), 'open a netlink socket');
  try {
    const sent = writeFrom(fd, addressOf(message), message.length);
    if (sent < 0) throw systemCallError(attempt, -sent);
    const reply = stableBytes(REPLY_BYTES);
    const received = readInto(fd, addressOf(reply), reply.length);
    if (received < 0) throw systemCallError(attempt, -received);
    const type = new Uint16Array(reply.buffer)[2];
    const error = new Int32Array(reply.buffer)[NLMSG_HEADER_BYTES / 4] ?? 0;
    // An NLMSG_ERROR that carries 0 is the acknowledgement (RFC 3549 §2.3.2.2).
    if (type === NLMSG_ERROR && error < 0) throw systemCallError(attempt, -error);
  } finally {
    closeFd(fd);
  }
}
