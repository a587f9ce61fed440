import type { ChildProcess } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ended, type Host, type Lab } from '../lab/index.ts';

const KITH = fileURLToPath(new URL('../../packages/cli/bin/kith.js', import.meta.url));

/** Carries datagrams between this process and a UDP port on the loopback of a host: a line of base64 for each, either way. */
const RELAY = `
const [address, port] = [process.argv[1], Number(process.argv[2])];
const socket = require('node:dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
socket.on('message', (datagram) => process.stdout.write(datagram.toString('base64') + '\\n'));
socket.bind(0, address, () => process.stdout.write('port ' + socket.address().port + '\\n'));
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  socket.send(Buffer.from(line, 'base64'), port, address);
}).on('close', () => process.exit(0));
`;

/** Links come up within a second; a machine under load gets as many as tens. */
const PATIENCE_MS = 30_000;

export const CONTROL = 1;
export const PACKET = 2;

export type Message = Record<string, unknown>;

/** One datagram of tincan's, taken apart by hand. */
export interface Received {
  version: number;
  type: number;
  payload: Buffer;
  /** Of type 1. */
  json: Message | undefined;
}

/** Bytes of our form before and behind the payload, as docs/API.md has them. */
const SEALED = { before: 18, behind: 16 };

/**
 * A socket from which somebody's controller speaks to tincan in IPOP's own words, or, with a secret, in ours. Nothing of Kith's code
 * helps it.
 */
export class IpopSocket {
  readonly #relay: ChildProcess;
  readonly #secret: Buffer | undefined;
  readonly version: number;
  readonly port: number;
  readonly received: Received[] = [];
  #wake: (() => void)[] = [];

  private constructor(relay: ChildProcess, port: number, version: number, secret?: Buffer) {
    this.#relay = relay;
    this.#secret = secret;
    this.port = port;
    this.version = version;
    if (relay.stdout === null) throw new Error('the relay has no output');
    createInterface({ input: relay.stdout }).on('line', (line) => this.#take(Buffer.from(line, 'base64')));
  }

  /** @param secret for version 4 */
  static async open(
    host: Host,
    address: string,
    tincanPort: number,
    version: number,
    secret?: Buffer,
  ): Promise<IpopSocket> {
    const relay = host.spawn(process.execPath, ['-e', RELAY, address, String(tincanPort)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (relay.stdout === null) throw new Error('the relay has no output');
    const [first] = await once(relay.stdout, 'data');
    return new IpopSocket(relay, Number(/^port (\d+)\n$/.exec(String(first))?.[1]), version, secret);
  }

  send(type: number, payload: Uint8Array): void {
    const datagram = this.#written(type, payload);
    this.#relay.stdin?.write(`${datagram.toString('base64')}\n`);
  }

  call(call: Message): void {
    this.send(CONTROL, Buffer.from(JSON.stringify(call)));
  }

  /** The first datagram of those received after `since`, past or to come, that is as wished. Rejects when none comes. */
  async until(wished: (received: Received) => boolean, since = 0): Promise<Received> {
    const end = AbortSignal.timeout(PATIENCE_MS);
    const over = once(end, 'abort');
    while (!end.aborted) {
      const found = this.received.slice(since).find(wished);
      if (found !== undefined) return found;
      await Promise.race([new Promise<void>((resolve) => this.#wake.push(resolve)), over]);
    }
    const last = this.received.slice(since).map(({ type, json }) => json ?? type);
    throw new Error(`it did not come; this did: ${JSON.stringify(last)}`);
  }

  /** The first JSON message with these fields after `since`. */
  async message(fields: Message, since = 0): Promise<Message> {
    const isWished = ({ json }: Received): boolean =>
      json !== undefined && Object.entries(fields).every(([key, value]) => json[key] === value);
    return (await this.until(isWished, since)).json ?? {};
  }

  /** Asks until tincan answers. */
  async untilAnswered(): Promise<void> {
    for (let tries = 0; ; tries++) {
      this.call({ m: 'echo_request', msg: `try ${tries}` });
      const answer = await Promise.race([
        this.until(({ json }) => json?.type === 'echo_request'),
        pause(100, undefined),
      ]);
      if (answer !== undefined) return;
    }
  }

  async close(): Promise<void> {
    this.#relay.stdin?.end();
    await ended(this.#relay);
  }

  #written(type: number, payload: Uint8Array): Buffer {
    if (this.#secret === undefined) return Buffer.concat([Uint8Array.of(this.version, type), payload]);
    const stamp = Buffer.alloc(8);
    stamp.writeBigUInt64BE(process.hrtime.bigint());
    const body = Buffer.concat([Uint8Array.of(this.version, type), stamp, randomBytes(8), payload]);
    return Buffer.concat([body, tagOf(this.#secret, 'call', body)]);
  }

  #take(datagram: Buffer): void {
    const [version = 0, type = 0] = datagram;
    let payload = datagram.subarray(2);
    if (this.#secret !== undefined) {
      const body = datagram.subarray(0, -SEALED.behind);
      if (!tagOf(this.#secret, 'reply', body).equals(datagram.subarray(-SEALED.behind)))
        throw new Error('a reply that does not prove the secret');
      payload = body.subarray(SEALED.before);
    }
    const json: Message | undefined = type === CONTROL ? JSON.parse(payload.toString('utf8')) : undefined;
    this.received.push({ version, type, payload, json });
    for (const wake of this.#wake.splice(0)) wake();
  }
}

function tagOf(secret: Buffer, way: 'call' | 'reply', body: Buffer): Buffer {
  const key = createHmac('sha256', secret).update(`kith api ${way}`).digest();
  return createHmac('sha256', key).update(body).digest().subarray(0, SEALED.behind);
}

/** `kith tincan` on a host of a lab. */
export class LoneTincan {
  readonly #child: ChildProcess;
  readonly #directory: string;
  /** What it and the command wrote. */
  output = '';

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (bytes) => {
        this.output += String(bytes);
      });
    }
  }

  static async start(lab: Lab, host: Host, args: readonly string[]): Promise<LoneTincan> {
    const directory = await lab.directory(host.name, 'tincan');
    const all = [KITH, 'tincan', '--tap', 'ipop', '--state-dir', directory, ...args];
    const child = host.spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'] });
    return new LoneTincan(child, directory);
  }

  /** What is in api.secret, once it is there. */
  async secret(): Promise<Buffer> {
    for (;;) {
      const text = await readFile(join(this.#directory, 'api.secret'), 'utf8').catch(() => '');
      if (/^[0-9a-f]{64}\n$/.test(text)) return Buffer.from(text.trim(), 'hex');
      await pause(10);
    }
  }

  /** Ends it as a service manager does; the exit code. */
  async stop(): Promise<number> {
    this.#child.kill('SIGTERM');
    return await this.ended();
  }

  /** Waits for its end; the exit code. */
  async ended(): Promise<number> {
    return await ended(this.#child);
  }
}
