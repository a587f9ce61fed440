// Finds out what the network in front of this host does (RFC 5780 §4), and prints it as one line of JSON.
//   node probe-client.mjs ADDRESS OTHER_ADDRESS
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { FIRST_PORT, OTHER_PORT, TCP_PORTS } from './probe-ports.mjs';

/** Nothing is lost on purpose here: the repetitions are for the first packet that waits for a neighbour's address, and for a busy machine. */
const TRIES = 3;
const PATIENCE_MS = 500;
/** More and less than a path of 1280 bytes carries. */
const LARGE_BYTES = 1400;
const SMALL_BYTES = 1200;

const [address = '', otherAddress = ''] = process.argv.slice(2);
const isIp6 = address.includes(':');
let nextId = 1;

/** @returns {Promise<import('node:dgram').Socket>} */
function open() {
  const socket = createSocket(isIp6 ? 'udp6' : 'udp4');
  // Without a route a send fails, which is as good as no answer.
  socket.on('error', () => undefined);
  return new Promise((resolve) => socket.bind(0, () => resolve(socket)));
}

/**
 * Asks and returns how the server saw us; null without an answer.
 * @param {import('node:dgram').Socket} socket
 * @param {string} ip
 * @param {number} port
 * @param {{ from?: string, bytes?: number, pad?: number }} [request]
 * @returns {Promise<string | null>}
 */
async function ask(socket, ip, port, request = {}) {
  for (let tries = 0; tries < TRIES; tries++) {
    const id = nextId++;
    const { pad = 0, ...rest } = request;
    const answer = receive(socket, (message) => (message.id === id ? message.seen : undefined));
    socket.send(JSON.stringify({ id, ...rest }).padEnd(pad), port, ip);
    const seen = await answer;
    if (seen !== null) return seen;
  }
  return null;
}

/**
 * @param {import('node:dgram').Socket} socket
 * @param {(message: { id?: unknown, seen?: string }) => string | undefined} wanted
 * @returns {Promise<string | null>}
 */
function receive(socket, wanted) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => end(null), PATIENCE_MS);
    /** @param {Buffer} data */
    const listen = (data) => {
      const found = wanted(JSON.parse(data.toString()));
      if (found !== undefined) end(found);
    };
    /** @param {string | null} result */
    const end = (result) => {
      clearTimeout(timer);
      socket.off('message', listen);
      resolve(result);
    };
    socket.on('message', listen);
  });
}

/** @param {number} port */
function reachesTcp(port) {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (/** @type {boolean} */ result) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(2 * PATIENCE_MS, () => end(false));
    socket.on('connect', () => end(true)).on('error', () => end(false));
  });
}

/** RFC 5780 §4.3: does another destination see another port of ours? */
async function mapping() {
  const socket = await open();
  const own = `${socket.address().port}`;
  const seen = [];
  for (const [ip, port] of /** @type {const} */ ([
    [address, FIRST_PORT],
    [otherAddress, FIRST_PORT],
    [otherAddress, OTHER_PORT],
    [address, OTHER_PORT],
  ]))
    seen.push(await ask(socket, ip, port));
  socket.close();
  return { own, seen };
}

/** RFC 5780 §4.4: who may answer to a socket that has spoken to one address and port only? */
async function filtering() {
  const socket = await open();
  const fromOtherAddress = await ask(socket, address, FIRST_PORT, { from: 'other-address' });
  const fromOtherPort = await ask(socket, address, FIRST_PORT, { from: 'other-port' });
  socket.close();
  return { fromOtherAddress: fromOtherAddress !== null, fromOtherPort: fromOtherPort !== null };
}

/** RFC 5780 §4.5 (hairpinning): does what we send to our own outer address come back? */
async function hairpin() {
  const [one, other] = [await open(), await open()];
  const outer = await ask(one, address, FIRST_PORT);
  let cameBack = null;
  if (outer !== null) {
    const [ip = '', port] = outer.split(' ');
    const heard = receive(one, (message) => (message.id === 'hairpin' ? 'yes' : undefined));
    other.send('{"id":"hairpin"}', Number(port), ip);
    cameBack = await heard;
  }
  one.close();
  other.close();
  return cameBack !== null;
}

async function size() {
  const socket = await open();
  const small = await ask(socket, address, FIRST_PORT, { bytes: SMALL_BYTES, pad: SMALL_BYTES });
  const up = await ask(socket, address, FIRST_PORT, { pad: LARGE_BYTES });
  const down = await ask(socket, address, FIRST_PORT, { bytes: LARGE_BYTES });
  socket.close();
  return { small: small !== null, largeUp: up !== null, largeDown: down !== null };
}

const [mapped, filtered, turned, sizes, ...tcp] = await Promise.all([
  mapping(),
  filtering(),
  hairpin(),
  size(),
  ...TCP_PORTS.map(reachesTcp),
]);
const result = {
  ...mapped,
  ...filtered,
  hairpin: turned,
  ...sizes,
  tcp: TCP_PORTS.filter((_, index) => tcp[index]),
};
process.stdout.write(`${JSON.stringify(result)}\n`);
