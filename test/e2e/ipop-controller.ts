import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
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

/** A socket from which somebody's controller speaks to tincan in IPOP's own words. Nothing of Kith's code helps it. */
export class IpopSocket {
  readonly #relay: ChildProcess;
  readonly version: number;
  readonly port: number;
  readonly received: Received[] = [];
  #wake: (() => void)[] = [];

  private constructor(relay: ChildProcess, port: number, version: number) {
    this.#relay = relay;
    this.port = port;
    this.version = version;
    if (relay.stdout === null) throw new Error('the relay has no output');
    createInterface({ input: relay.stdout }).on('line', (line) => this.#take(Buffer.from(line, 'base64')));
  }

  static async open(host: Host, address: string, tincanPort: number, version: number): Promise<IpopSocket> {
    const relay = host.spawn(process.execPath, ['-e', RELAY, address, String(tincanPort)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (relay.stdout === null) throw new Error('the relay has no output');
    const [first] = await once(relay.stdout, 'data');
    return new IpopSocket(relay, Number(/^port (\d+)\n$/.exec(String(first))?.[1]), version);
  }

  send(type: number, payload: Uint8Array): void {
    const datagram = Buffer.concat([Uint8Array.of(this.version, type), payload]);
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

  #take(datagram: Buffer): void {
    const [version = 0, type = 0] = datagram;
    const payload = datagram.subarray(2);
    const json: Message | undefined = type === CONTROL ? JSON.parse(payload.toString('utf8')) : undefined;
    this.received.push({ version, type, payload, json });
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** `kith tincan` on a host of a lab. */
export class LoneTincan {
  readonly #child: ChildProcess;
  /** What it and the command wrote. */
  output = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (bytes) => {
        this.output += String(bytes);
      });
    }
  }

  static async start(lab: Lab, host: Host, args: readonly string[]): Promise<LoneTincan> {
    const directory = await lab.directory(host.name, 'tincan');
    const all = [KITH, 'tincan', '--tap', 'ipop', '--state-dir', directory, ...args];
    return new LoneTincan(host.spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  /** Ends it as a service manager does; the exit code. */
  async stop(): Promise<number> {
    this.#child.kill('SIGTERM');
    return await ended(this.#child);
  }
}
