export { EAGAIN, EBADFD, EINTR, EIO, ENOBUFS, errnoName, systemCallError } from './errno.ts';
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
export { assertInterfaceName } from './ifreq.ts';
export { addressOf, stableBytes } from './memory.ts';
export { addIp4, broadcastAddress, deleteIp4 } from './net-address.ts';
export { interfaceIndex, setMac, setMtu, setUp } from './net-device.ts';
export { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, PollSet } from './poll.ts';
export { openTap } from './tun.ts';
