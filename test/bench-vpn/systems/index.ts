import type { SystemName } from '../options.mjs';
import type { System } from '../system.ts';
import { kithChannel, kithEncrypted, kithPlain } from './kith.ts';
import { n2n } from './n2n.ts';
import { nebula } from './nebula.ts';
import { none } from './none.ts';
import { openvpn } from './openvpn.ts';
import { tinc } from './tinc.ts';
import { wireguardGo } from './wireguard-go.ts';

/** Every system by its name. */
export const SYSTEMS: Record<SystemName, System> = {
  none,
  'kith-encrypted': kithEncrypted,
  'kith-plain': kithPlain,
  'kith-channel': kithChannel,
  tinc,
  'wireguard-go': wireguardGo,
  nebula,
  openvpn,
  n2n,
};
