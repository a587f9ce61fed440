export {
  AEAD_HEADER_BYTES,
  AEAD_MAX_PLAINTEXT_BYTES,
  AEAD_TAG_BYTES,
  Aead,
  type AeadCipher,
} from './aead.ts';
export { DatagramReceiver } from './datagram-receiver.ts';
export { DatagramSender } from './datagram-sender.ts';
export {
  EAGAIN,
  EBADFD,
  EINTR,
  EINVAL,
  EIO,
  EMSGSIZE,
  ENOBUFS,
  errnoName,
  systemCallError,
} from './errno.ts';
export { EventFd } from './event-fd.ts';
export {
  closeFd,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  openFile,
  readInto,
  setNonBlocking,
  writeFrom,
} from './file.ts';
export { hotClock } from './hot-clock.ts';
export { type HotMemory, hotMemory } from './hot-memory.ts';
export { assertInterfaceName } from './ifreq.ts';
export { IoVector } from './io-vector.ts';
export { addressOf, stableBytes } from './memory.ts';
export { addIp4, addIp6, broadcastAddress, deleteIp4, deleteIp6 } from './net-address.ts';
export { interfaceIndex, setGsoMaxSize, setMac, setMtu, setUp } from './net-device.ts';
export { NetworkMonitor } from './network-monitor.ts';
export { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, PollSet } from './poll.ts';
export { routeInterface } from './route-lookup.ts';
export { ThreadScheduling, yieldTurn } from './scheduler.ts';
export {
  decodeSockaddr,
  encodeSockaddr,
  SOCKADDR_BYTES,
  type SocketAddress,
  type SocketFamily,
  sameSockaddr,
} from './sockaddr.ts';
export { type SocketPair, socketPair } from './socket-pair.ts';
export { isThreadNamed, setTimerSlack, threadsNamed } from './timer-slack.ts';
export {
  IFF_MULTI_QUEUE,
  IFF_VNET_HDR,
  openTap,
  openTapQueue,
  setOffload,
  setVnetHeaderBytes,
  TUN_F_CSUM,
  TUN_F_TSO_ECN,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
} from './tun.ts';
export { UdpSocket, type UdpSocketOptions } from './udp-socket.ts';
