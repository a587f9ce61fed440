// What one batch of datagrams costs over the loopback, by the way it is handed to the kernel:
// `node packages/posix/bench/udp.mjs` after a build. Sending on the loopback includes the kernel's receive path.
import {
  addressOf,
  DatagramReceiver,
  DatagramSender,
  encodeSockaddr,
  hotMemory,
  SOCKADDR_BYTES,
  stableBytes,
  UdpSocket,
} from '../dist/index.js';
import { show } from './measure.mjs';

const ROUNDS = 3000;
const SLOT_BYTES = 65_536;
const outgoing = hotMemory(SLOT_BYTES);
const incoming = hotMemory(4 * SLOT_BYTES);

function bench(what, size, count, { gso, gro, slots, slotBytes }) {
  const to = UdpSocket.open({ family: 4, address: '127.0.0.1', port: 0, gro, bufferBytes: 2 ** 22 });
  const from = UdpSocket.open({ family: 4, address: '127.0.0.1', port: 0, bufferBytes: 2 ** 22 });
  const sender = new DatagramSender(from.fd, 64);
  const receiver = new DatagramReceiver(to.fd, incoming, 0, slots, slotBytes);
  const sockaddr = stableBytes(SOCKADDR_BYTES);
  const length = encodeSockaddr(4, '127.0.0.1', to.port, sockaddr);
  const peer = addressOf(sockaddr);
  const total = size * count;
  let sendNs = 0n;
  let receiveNs = 0n;
  let calls = 0;
  for (let round = -ROUNDS / 3; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    if (gso) {
      if (sender.send(peer, length, outgoing.address, total, size) !== total) throw new Error('not sent');
    } else {
      for (let index = 0; index < count; index++) {
        sender.add(peer, length, outgoing.address + index * size, size, 0);
      }
      while (sender.pending > 0) if (sender.flush() < 0) throw new Error('not sent');
    }
    const sent = process.hrtime.bigint();
    let received = 0;
    while (received < total) {
      const filled = receiver.receive();
      if (filled < 0) throw new Error(`lost: errno ${-filled}`);
      if (round >= 0) calls++;
      for (let slot = 0; slot < filled; slot++) received += receiver.length(slot);
    }
    const done = process.hrtime.bigint();
    if (round >= 0) {
      sendNs += sent - start;
      receiveNs += done - sent;
    }
  }
  to.close();
  from.close();
  console.log(`${what} (${(calls / ROUNDS).toFixed(1)} receive calls per batch)`);
  show('  send', Number(sendNs) / ROUNDS, total);
  show('  receive', Number(receiveNs) / ROUNDS, total);
}

const large = { slots: 4, slotBytes: SLOT_BYTES };
const small = { slots: 64, slotBytes: 2048 };
bench('45 x 1432 bytes, UDP_SEGMENT and UDP_GRO', 1432, 45, { gso: true, gro: true, ...large });
bench('45 x 1432 bytes, UDP_SEGMENT, no GRO, recvmmsg', 1432, 45, { gso: true, gro: false, ...small });
bench('45 x 1432 bytes, sendmmsg, no GRO, recvmmsg', 1432, 45, { gso: false, gro: false, ...small });
bench('45 x 1432 bytes, sendmmsg, UDP_GRO', 1432, 45, { gso: false, gro: true, ...large });
bench('64 x 96 bytes, sendmmsg, no GRO, recvmmsg', 96, 64, { gso: false, gro: false, ...small });
bench('64 x 96 bytes, sendmmsg, UDP_GRO', 96, 64, { gso: false, gro: true, ...large });
bench('1 x 1432 bytes, UDP_GRO', 1432, 1, { gso: true, gro: true, ...large });
