import { check, EAGAIN, EINTR, ENOBUFS, systemCallError } from './errno.ts';
import { closeFd, readInto } from './file.ts';
import { cBind, cSocket } from './libc.ts';
import { addressOf, stableBytes } from './memory.ts';
import { AF_NETLINK, NETLINK_ROUTE, NLMSG_HEADER_BYTES } from './netlink.ts';

// bits/socket.h
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
// linux/rtnetlink.h: groups as bits of nl_groups
const RTMGRP_LINK = 0x1;
const RTMGRP_IPV4_IFADDR = 0x10;
const RTMGRP_IPV4_ROUTE = 0x40;
const RTMGRP_IPV6_IFADDR = 0x100;
const RTMGRP_IPV6_ROUTE = 0x400;
const GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
/** struct sockaddr_nl of linux/netlink.h: family, padding, port, groups. */
const SOCKADDR_NL_BYTES = 12;
/** A dump's message may be as large as this (netlink(7)); of what is longer, that it came is enough. */
const MESSAGE_BYTES = 8_192;
/** Messages taken at one look. A router's daemon may change routes without end; what is left waits for the next look. */
const MAX_MESSAGES = 256;

/** Tells whether addresses, routes or interfaces of this machine changed, as the kernel says by rtnetlink. Never waits. */
export class NetworkMonitor {
  readonly #fd: number;
  readonly #message = stableBytes(MESSAGE_BYTES);
  readonly #address = addressOf(this.#message);
  #open = true;

  /** Throws SystemError. */
  constructor() {
    this.#fd = check(
      cSocket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE),
      'open a netlink socket',
    );
    const sockaddr = stableBytes(SOCKADDR_NL_BYTES);
    new Uint16Array(sockaddr.buffer)[0] = AF_NETLINK;
    new Uint32Array(sockaddr.buffer)[2] = GROUPS;
    try {
      check(cBind(this.#fd, addressOf(sockaddr), SOCKADDR_NL_BYTES), 'listen for changes of the network');
    } catch (error) {
      closeFd(this.#fd);
      throw error;
    }
  }

  /** Can be read when there is news. */
  get fd(): number {
    return this.#fd;
  }

  /** Whether anything changed since the last look. Throws SystemError. */
  changed(): boolean {
    let changed = false;
    for (let taken = 0; this.#open && taken < MAX_MESSAGES; taken++) {
      const received = readInto(this.#fd, this.#address, MESSAGE_BYTES);
      if (received >= NLMSG_HEADER_BYTES || received === -ENOBUFS) {
        // ENOBUFS: more changed than the socket could hold, which is a change as well (netlink(7)).
        changed = true;
      } else if (received === -EAGAIN) {
        break;
      } else if (received < 0 && received !== -EINTR) {
        throw systemCallError('read changes of the network', -received);
      }
    }
    return changed;
  }

  /** A second call does nothing. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeFd(this.#fd);
  }
}
