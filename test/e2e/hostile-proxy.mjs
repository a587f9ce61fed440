// A hub whose operator lies: ends the TLS of a client with the hub's own certificate, and changes, repeats and invents what it sees.
// Arguments: certificate file, port to listen on, address and port of the hub. Orders come as lines of JSON on standard input, and
// each is answered by one line on standard output.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { connect, createServer } from 'node:tls';

/**
 * @typedef {{ client: import('node:tls').TLSSocket, hub: import('node:tls').TLSSocket, invented: number }} Connection
 * @typedef {{ do: 'replace', pairs: { from: string, to: string }[] } | { do: 'cut' } | { do: 'replay', times: number }
 *   | { do: 'flood', stanza: string, from: number, to: number }} Order
 */

const [pem = '', port, host, hubPort] = process.argv.slice(2);
const certificate = readFileSync(pem);
/**
 * What is replaced in a stream on its way to the client.
 * @type {{ from: string, to: string }[]}
 */
let replaced = [];
/**
 * con_req and con_resp that passed to the client.
 * @type {string[]}
 */
const signals = [];
const MAX_SIGNALS = 100;
/**
 * The client's connection: the latest one.
 * @type {Connection | undefined}
 */
let current;
let serial = 0;

const SIGNAL = /<iq\b[^>]*>\s*<query\b[^>]*jabber:iq:tincan.*?<\/iq>/gs;

/** @type {(connection: Connection, text: string) => void} */
function toClient(connection, text) {
  let changed = text;
  for (const { from, to } of replaced) changed = changed.replaceAll(from, to);
  for (const [signal] of changed.matchAll(SIGNAL)) if (signals.length < MAX_SIGNALS) signals.push(signal);
  connection.client.write(changed);
}

/**
 * The client counts invented stanzas too (XEP-0198 §4), and the hub would end a stream that acknowledges more than it sent.
 * @type {(connection: Connection, text: string) => void}
 */
function toHub(connection, text) {
  connection.hub.write(
    text.replace(
      /(<(?:a|resume)\b[^>]*\bh=['"])(\d+)/g,
      (_, head, h) => head + Math.max(0, Number(h) - connection.invented),
    ),
  );
}

/**
 * Hands on whole elements only, so that none is cut in two, and so that there are gaps for invented ones.
 * @type {(from: import('node:tls').TLSSocket, to: (text: string) => void) => void}
 */
function pass(from, to) {
  let held = '';
  from.setEncoding('utf8');
  from.on('data', (text) => {
    held += text;
    const end = held.lastIndexOf('>') + 1;
    to(held.slice(0, end));
    held = held.slice(end);
  });
}

createServer({ key: certificate, cert: certificate }, (client) => {
  const hub = connect({ host, port: Number(hubPort), rejectUnauthorized: false }, () => {
    const connection = { client, hub, invented: 0 };
    current = connection;
    pass(client, (text) => toHub(connection, text));
    pass(hub, (text) => toClient(connection, text));
  });
  client.on('error', () => hub.destroy()).on('close', () => hub.destroy());
  hub.on('error', () => client.destroy()).on('close', () => client.destroy());
}).listen(Number(port), host, () => process.stdout.write('"ready"\n'));

/**
 * Writes stanzas as fast as the client takes them.
 * @type {(stanzas: Iterable<string>) => Promise<number>}
 */
async function invent(stanzas) {
  const connection = current;
  let count = 0;
  for (const stanza of stanzas) {
    if (connection === undefined || connection.client.destroyed) throw new Error('the client is gone');
    connection.invented++;
    count++;
    if (!connection.client.write(stanza)) await once(connection.client, 'drain');
  }
  return count;
}

/** @type {(times: number) => Generator<string>} */
function* replay(times) {
  for (let i = 0; i < times; i++)
    for (const signal of signals) yield signal.replace(/\bid=(['"])[^'"]*\1/, `id='replay${serial++}'`);
}

/** @type {(order: Extract<Order, { do: 'flood' }>) => Generator<string>} */
function* flood({ stanza, from, to }) {
  for (let i = from; i < to; i++) {
    yield stanza
      .replaceAll('{i}', String(i))
      .replaceAll('{uid}', i.toString(16).padStart(40, 'f'))
      .replaceAll('{id}', `i${serial++}`);
  }
}

/** @type {(order: Order) => Promise<number>} */
async function obey(order) {
  if (order.do === 'replace') replaced = order.pairs;
  else if (order.do === 'cut') current?.client.destroy();
  else if (order.do === 'replay') return await invent(replay(order.times));
  else if (order.do === 'flood') return await invent(flood(order));
  return signals.length;
}

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    try {
      process.stdout.write(`${JSON.stringify(await obey(JSON.parse(line)))}\n`);
    } catch (error) {
      process.stdout.write(`${JSON.stringify({ error: String(error) })}\n`);
    }
  })
  .on('close', () => process.exit(0));
