import {
  addressOf,
  encodeSockaddr,
  POLLIN,
  PollSet,
  readInto,
  SOCKADDR_BYTES,
  socketPair,
  stableBytes,
  UdpSocket,
} from '@kith/posix';
import { RingProducer } from '@kith/ring';
import { afterEach, expect, test } from 'vitest';
import { KIND_MAC } from './addresses.ts';
import { encodeBind, TAG_BIND } from './commands.ts';
import { Counters, INGRESS_COUNTERS } from './counters.ts';
import { encodeKeyed, TAG_ADD_RECEIVER } from './direct-commands.ts';
import { Ingress } from './ingress.ts';
import { INGRESS_PACE, newPace, Pace } from './pace.ts';
import { rehearsalFrames, rehearsalLink } from './rehearsal-frames.ts';
import { StreamMode } from './stream-mode.ts';
import { AES, LINK, Pair } from './test-direct-pair.ts';
import { directionStart } from './test-direction-start.ts';

const NOW_MS = 1000;
const INDEX = 42;
const LONGEST_FRAME = 2048;

let cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanUp) step();
  cleanUp = [];
});

function opened<T extends { close(): void }>(resource: T): T {
  cleanUp.push(() => resource.close());
  return resource;
}

test('what the main thread asked for before a datagram was sent holds for it, though the worker takes frames first', () => {
  const tap = opened(socketPair());
  const socket = opened(UdpSocket.open({ family: 4, address: '127.0.0.1', port: 0 }));
  const start = directionStart(false);
  const counters = new Counters(INGRESS_COUNTERS);
  const direct = { ...start.direct, socketFd: socket.fd };
  const pace = new Pace(newPace(), INGRESS_PACE, NOW_MS, new StreamMode(() => {}));
  const ingress = new Ingress({ ...start, tapFd: tap.fds[0], counters: counters.memory, direct }, pace);
  const link = rehearsalLink(0);
  const [, , packet] = rehearsalFrames(link, start.mtu).packets;
  if (packet === undefined) throw new Error('no packet');

  const downlink = new RingProducer(start.ring);
  const tell = (tag: number, payload: Uint8Array): void => {
    downlink.push(payload, 0, payload.length, tag);
    downlink.publish();
  };
  tell(TAG_BIND, encodeBind(LINK, KIND_MAC, link.from.mac));
  tell(TAG_ADD_RECEIVER, encodeKeyed({ index: INDEX, link: LINK, slot: 3, keys: AES() }));
  const sender = opened(new Pair());
  const sockaddr = new Uint8Array(SOCKADDR_BYTES);
  const sockaddrLength = encodeSockaddr(4, '127.0.0.1', socket.port, sockaddr);
  sender.egress.setPath({ link: LINK, datagramBytes: 1472, channel: 0, sockaddr, sockaddrLength });
  sender.egress.setSender({ link: LINK, slot: 3, index: INDEX, keys: AES() });
  sender.send(packet);

  new PollSet([{ fd: socket.fd, events: POLLIN }]).wait(1000);
  ingress.take(true, NOW_MS);
  const frame = stableBytes(LONGEST_FRAME);
  expect(readInto(tap.fds[1], addressOf(frame), frame.length)).toBe(packet.length);
  expect(counters.get('dropped_unknown_receiver')).toBe(0);
});
