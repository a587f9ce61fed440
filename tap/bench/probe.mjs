// How many frames a second the TAP device carries either way, without any carrier. It needs root and makes its own network namespace:
//   node tap/bench/probe.mjs
// Downlink: the main thread delivers frames as fast as it can; the kernel ignores them (an EtherType that nobody handles).
// Uplink: a second process writes UDP datagrams as fast as it can; the main thread counts the frames that come out of the ring.
import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { addressOf, stableBytes, writeFrom } from '@kith/posix';
import { Tap } from '@kith/tap';

const SECONDS = 2;
const SELF_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const PEER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);
const SELF = fileURLToPath(import.meta.url);

async function main() {
  const namespace = `kith-probe-${process.pid}`;
  execFileSync('ip', ['netns', 'add', namespace]);
  try {
    const child = spawn('ip', ['netns', 'exec', namespace, process.execPath, SELF, 'inside'], {
      stdio: 'inherit',
    });
    await once(child, 'exit');
  } finally {
    execFileSync('ip', ['netns', 'delete', namespace]);
  }
}

async function inside() {
  const tap = await Tap.open({
    name: 'kith0',
    mac: SELF_MAC,
    mtu: 1360,
    ip4: { address: '172.31.0.1', prefixLength: 24 },
  });
  const neighbour = ['172.31.0.2', 'lladdr', '02:00:00:00:00:02', 'dev', 'kith0', 'nud', 'permanent'];
  execFileSync('ip', ['neigh', 'replace', ...neighbour]);
  tap.bind(1, 'mac', PEER_MAC);
  let received = 0;
  tap.onUplink((link) => {
    if (link === 1) received++;
  });
  for (const bytes of [64, 1374]) await downlink(tap, bytes);
  for (const bytes of [22, 1332]) {
    received = 0;
    const before = tap.counters();
    const cpu = process.cpuUsage();
    const began = performance.now();
    await once(spawn(process.execPath, [SELF, 'generate', String(bytes)], { stdio: 'inherit' }), 'exit');
    await pause(50);
    const seconds = (performance.now() - began) / 1000;
    const after = tap.counters();
    print('uplink', bytes + 42, received, SECONDS, cpu, {
      dropped: (after.dropped_uplink_full ?? 0) - (before.dropped_uplink_full ?? 0),
      wallSeconds: Math.round(seconds * 10) / 10,
    });
  }
  await tap.close();
}

/** @param {Tap} tap @param {number} bytes */
async function downlink(tap, bytes) {
  const frame = new Uint8Array(bytes);
  frame.set(SELF_MAC, 0);
  frame.set(PEER_MAC, 6);
  frame.set([0x88, 0xcc], 12);
  const before = tap.counters().tap_rx_frames ?? 0;
  const cpu = process.cpuUsage();
  const end = performance.now() + SECONDS * 1000;
  let refused = 0;
  while (performance.now() < end) {
    for (let count = 0; count < 64; count++) if (!tap.deliver(1, frame, 0, bytes)) refused++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await pause(50);
  print('downlink', bytes, (tap.counters().tap_rx_frames ?? 0) - before, SECONDS, cpu, { refused });
}

/** Writes datagrams of `bytes` for SECONDS. @param {number} bytes */
async function generate(bytes) {
  const socket = createSocket('udp4');
  socket.connect(9, '172.31.0.2');
  await once(socket, 'connect');
  // Node does not publish the descriptor; a bench may ask for it all the same.
  const fd = Reflect.get(
    Reflect.get(
      socket,
      Object.getOwnPropertySymbols(socket).find((s) => s.description === 'state symbol') ?? '',
    ).handle,
    'fd',
  );
  const memory = stableBytes(bytes);
  const address = addressOf(memory);
  const end = performance.now() + SECONDS * 1000;
  let sent = 0;
  while (performance.now() < end)
    for (let count = 0; count < 64; count++) if (writeFrom(fd, address, bytes) > 0) sent++;
  console.log(`generator: ${Math.round(sent / SECONDS / 1000)} k datagrams/s`);
  socket.close();
}

/** @param {string} what @param {number} bytes @param {number} frames @param {number} seconds @param {NodeJS.CpuUsage} cpu @param {object} more */
function print(what, bytes, frames, seconds, cpu, more) {
  const used = process.cpuUsage(cpu);
  const rate = frames / seconds;
  console.log(
    `${what} ${bytes} B: ${Math.round(rate / 1000)} k frames/s, ${Math.round((rate * bytes * 8) / 1e6)} Mbit/s, ` +
      `${((used.user + used.system) / frames).toFixed(2)} µs CPU per frame, ${JSON.stringify(more)}`,
  );
}

const mode = process.argv[2];
if (mode === 'inside') await inside();
else if (mode === 'generate') await generate(Number(process.argv[3]));
else await main();
