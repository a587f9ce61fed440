export { type AddressKind, LINK_ALL, LINK_MAX, LINK_SELF } from './addresses.ts';
export { Chunker } from './chunker.ts';
export type { Ip4Setting, Offload } from './device.ts';
export type { DirectKeys } from './direct-keys.ts';
export type { DirectAddress, DirectLinkStats, DirectPath, DirectPort } from './direct-port.ts';
export { type DirectOptions, Tap, type TapOptions } from './tap.ts';
export type { UplinkHandler } from './uplink-drain.ts';
export { VIRTIO_HEADER_BYTES } from './virtio-header.ts';
