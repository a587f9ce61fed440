// One end of the data plane's direct carrier, in the network namespace of direct-data.e2e.test.ts or of a measurement: a TAP device
// whose only link leads over UDP to the other end, with keys fixed by hand and no control plane. Its one argument is a JSON document
// { side: 'a' | 'b', peer: address, mode: 'aes' | 'chacha' | 'plain' | 'none', datagramBytes?, tap?: TapOptions, network? }; it prints `ready` and, at each line
// on its standard input, one JSON line with its counters; it ends with its standard input. `network` is 'switch' (default), 'layer3', or
// 'social': layer 3 where both ends have the address 172.31.0.9 of their own and know each other by the usual ones.
import { createInterface } from 'node:readline';
import { Tap } from '@kith/tap';

const {
  side,
  peer,
  mode,
  datagramBytes = 1472,
  tap: options = {},
  network = 'switch',
} = JSON.parse(process.argv[2] ?? '{}');
const LINK = 7;
const PORT = 5810;
const isA = side === 'a';
const own = isA ? 1 : 2;
const other = isA ? 2 : 1;
const tap = await Tap.open({
  name: 'kith0',
  mac: Uint8Array.of(2, 0, 0, 0, 0, own),
  mtu: 1360,
  ip4: { address: `172.31.0.${network === 'social' ? 9 : own}`, prefixLength: 24 },
  direct: { port: PORT },
  ...options,
});
tap.onFailure((error) => {
  console.error(error);
  process.exit(1);
});
if (network !== 'switch') tap.setMode({ layer: 3, onDemand: false });
const social = {
  remote: Uint8Array.of(172, 31, 0, 9),
  source: Uint8Array.of(172, 31, 0, other),
  destination: Uint8Array.of(172, 31, 0, 9),
};
tap.bindLink(LINK, {
  mac: Uint8Array.of(2, 0, 0, 0, 0, other),
  ip4: Uint8Array.of(172, 31, 0, other),
  ip6: null,
  ...(network === 'social' ? { translation: social } : {}),
});
let uplink = 0;
tap.onUplink(() => uplink++);

/** The key of the direction towards a node. @param {number} to */
function keys(to) {
  if (mode === 'plain') return { mode: /** @type {const} */ ('plain'), tag: new Uint8Array(16).fill(to) };
  const cipher =
    mode === 'chacha' ? /** @type {const} */ ('chacha20-poly1305') : /** @type {const} */ ('aes-256-gcm');
  return {
    mode: /** @type {const} */ ('sealed'),
    cipher,
    key: new Uint8Array(32).fill(to),
    fixedIv: new Uint8Array(4).fill(to),
  };
}

const direct = tap.direct;
if (direct === undefined) throw new Error('no direct carrier');
direct.addReceiver(0xffff_0000 + own, LINK, keys(own));
direct.setSender(LINK, 0xffff_0000 + other, keys(other));
direct.setPath(LINK, { ip: peer, port: PORT, datagramBytes });
/** @type {string[]} */
const pathErrors = [];
direct.onPathError((_link, name) => pathErrors.push(name));
/** @type {string[]} */
const control = [];
direct.onControl((data, from) => {
  control.push(`${data.length} from ${from.ip}`);
  if (data[0] === 0xc2) direct.sendControl(from.ip, from.port, Uint8Array.of(0xc3, ...data.subarray(1)));
});
console.log('ready');
let epoch = 0;
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'probe') direct.sendControl(peer, PORT, new Uint8Array(1200).fill(0xc2));
  // Both ends are told so; the receiver's old key stays, as the key of the epoch before.
  if (line === 'rekey') {
    epoch++;
    direct.addReceiver(epoch * 16 + own, LINK, keys(own));
  }
  if (line === 'switch') direct.setSender(LINK, epoch * 16 + other, keys(other));
  console.log(
    JSON.stringify({
      counters: tap.counters(),
      stats: direct.linkStats(LINK),
      pathErrors,
      control,
      uplink,
      offload: tap.offload,
    }),
  );
}
await tap.close();
