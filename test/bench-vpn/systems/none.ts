import type { System } from '../system.ts';

/** No VPN: the hosts' own addresses on the switch. What every other system is measured against. */
export const none: System = {
  name: 'none',
  start: ({ server }) => Promise.resolve({ serverAddress: server.ip4, stop: () => Promise.resolve() }),
};
