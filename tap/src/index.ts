export { type AddressKind, LINK_ALL, LINK_MAX, LINK_SELF } from './addresses.ts';
export type { Ip4Setting } from './device.ts';
export { Tap, type TapOptions } from './tap.ts';
export type { UplinkHandler } from './uplink-drain.ts';
