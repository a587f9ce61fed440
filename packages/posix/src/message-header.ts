// struct mmsghdr (bits/socket.h) on 64-bit Linux, in 32-bit words: a struct msghdr of 56 bytes, then msg_len and padding.
export const MMSGHDR_WORDS = 16;
export const MMSGHDR_BYTES = MMSGHDR_WORDS * 4;
/** msg_name, a pointer. */
export const NAME = 0;
export const NAME_LENGTH = 2;
/** msg_iov, a pointer, and msg_iovlen. */
export const VECTOR = 4;
export const VECTOR_LENGTH = 6;
/** msg_control, a pointer, and msg_controllen. */
export const CONTROL = 8;
export const CONTROL_LENGTH = 10;
export const FLAGS = 12;
/** msg_len of mmsghdr: bytes moved. */
export const MOVED = 14;

/** struct iovec: a pointer and a length. */
export const IOVEC_WORDS = 4;
export const IOVEC_BYTES = IOVEC_WORDS * 4;

/** struct cmsghdr: length (size_t, header included), level, type; the data starts at 16 and is padded to 8 (cmsg(3)). */
export const CMSG_HEADER_BYTES = 16;
/** CMSG_SPACE of anything up to 8 bytes. */
export const CMSG_SMALL_SPACE = 24;

/** The calls below never sleep, however the descriptor was opened (bits/socket.h). */
export const MSG_DONTWAIT = 0x40;
/** The datagram was longer than the room for it. */
export const MSG_TRUNC = 0x20;
