// One end of the tunnel, a process of its own:  node node.js JSON. Says "ready" once its TAP exists; on SIGTERM it tells what it dropped and ends.
import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { BugError } from '@kith/base';
import {
  EventFd,
  IFF_VNET_HDR,
  interfaceIndex,
  openTap,
  setGsoMaxSize,
  setOffload,
  setVnetHeaderBytes,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  UdpSocket,
} from '@kith/posix';
import { createRing } from '@kith/ring';
import { DROPS, GSO_MAX_BYTES, type Shape, type TunnelStart } from './tunnel.ts';
import type { Role, WorkerStart } from './worker.ts';

/** struct virtio_net_hdr without the count of buffers (linux/virtio_net.h). */
const VNET_HEADER_BYTES = 10;
/** What wireguard-go uses; the default 212 992 bytes drop bursts. */
const SOCKET_BUFFER_BYTES = 7 * 2 ** 20;
/** Sixteen of the largest frames and more. */
const RING_BYTES = 2 ** 21;

const ROLES: Record<Shape, readonly (readonly Role[])[]> = {
  // Roles of one list share a ring.
  whole: [['egress'], ['ingress']],
  split: [
    ['reader', 'sealer'],
    ['opener', 'writer'],
  ],
};

function isTunnelStart(value: unknown): value is TunnelStart {
  return typeof value === 'object' && value !== null && 'shape' in value && 'peerIp' in value;
}

const tunnel: unknown = JSON.parse(process.argv[2] ?? 'null');
if (!isTunnelStart(tunnel)) throw new BugError('RING_NODE', 'started by hand');
const tapFd = openTap(tunnel.interfaceName, IFF_VNET_HDR);
setVnetHeaderBytes(tapFd, VNET_HEADER_BYTES);
setOffload(tapFd, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6);
setGsoMaxSize(interfaceIndex(tunnel.interfaceName), GSO_MAX_BYTES);
const socket = UdpSocket.open({
  ...{ family: 4, address: tunnel.localIp, port: tunnel.port, bufferBytes: SOCKET_BUFFER_BYTES },
});
const drops = new Int32Array(new SharedArrayBuffer(DROPS.length * 4));
for (const roles of ROLES[tunnel.shape]) {
  const ring = createRing(RING_BYTES);
  const bellFd = EventFd.create().fd;
  for (const role of roles) {
    const workerData: WorkerStart = { role, tapFd, socketFd: socket.fd, tunnel, ring, bellFd, drops };
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData, name: role });
    worker.on('error', (error) => {
      process.stderr.write(`${role}: ${error.stack}\n`);
      process.kill(process.pid, 'SIGKILL');
    });
  }
}
process.on('SIGTERM', () => {
  const counted = DROPS.map((name, index) => [name, drops[index] ?? 0]).filter(([, count]) => count !== 0);
  writeSync(1, `${counted.map(([name, count]) => `${name} ${count}`).join(' ')}\n`);
  // Threads that sleep in poll keep node from ending in any gentler way.
  process.kill(process.pid, 'SIGKILL');
});
writeSync(1, 'ready\n');
