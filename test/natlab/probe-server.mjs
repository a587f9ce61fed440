// Tells how a network treats UDP and TCP, in the manner of RFC 5780: two addresses and two ports on which it listens, and from any of
// which it answers.  node probe-server.mjs ADDRESS OTHER_ADDRESS [ADDRESS6 OTHER_ADDRESS6]
// A request is JSON: {"id": …, "from": "here" | "other-port" | "other-address", "bytes": least size of the answer}.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { FIRST_PORT, OTHER_PORT, TCP_PORTS } from './probe-ports.mjs';

/** @type {Map<string, import('node:dgram').Socket>} */
const sockets = new Map();
const [address = '', otherAddress = '', address6, otherAddress6] = process.argv.slice(2);

/**
 * @param {string} ip
 * @param {string} otherIp
 * @param {number} port
 */
async function open(ip, otherIp, port) {
  const socket = createSocket(ip.includes(':') ? 'udp6' : 'udp4');
  sockets.set(`${ip} ${port}`, socket);
  const otherPort = port === FIRST_PORT ? OTHER_PORT : FIRST_PORT;
  socket.on('message', (data, { address: seenIp, port: seenPort }) => {
    const { id, from, bytes } = JSON.parse(data.toString());
    const answerer =
      from === 'other-address'
        ? sockets.get(`${otherIp} ${otherPort}`)
        : from === 'other-port'
          ? sockets.get(`${ip} ${otherPort}`)
          : socket;
    const text = JSON.stringify({ id, seen: `${seenIp} ${seenPort}` });
    answerer?.send(text.padEnd(bytes ?? 0), seenPort, seenIp);
  });
  await new Promise((resolve) => socket.bind(port, ip, () => resolve(undefined)));
}

for (const [ip, otherIp] of [
  [address, otherAddress],
  [otherAddress, address],
  [address6, otherAddress6],
  [otherAddress6, address6],
]) {
  if (ip === undefined || otherIp === undefined) continue;
  for (const port of [FIRST_PORT, OTHER_PORT]) await open(ip, otherIp, port);
}
for (const port of TCP_PORTS) {
  await new Promise((resolve) => {
    createServer((socket) => socket.on('error', () => undefined).end()).listen(port, '::', () =>
      resolve(undefined),
    );
  });
}
process.stdout.write('listening\n');
