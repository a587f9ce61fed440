/**
 * What the kernel may hold for a UDP socket that this thread reads: bursts of the data channel are 256 KiB, the egress worker sends up to
 * 64 KiB at once, and this thread does other things as well. The kernel gives at most net.core.rmem_max, 208 KiB by default, and counts
 * some 2.3 kB for a datagram of 1.4.
 */
export const SOCKET_BUFFER_BYTES = 1_048_576;
