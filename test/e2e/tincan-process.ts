import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import type { TincanStart } from '@kith/config';
import { ApiEnvelope, type ApiReply, parseApiReply } from '@kith/protocol';
import { TINCAN_MAIN } from '@kith/tincan';
import { ended, type Host, type Lab } from '../lab/index.ts';

/** Carries datagrams between this process and a UDP port on the loopback of a host: a line of base64 for each, either way. */
const RELAY = `
const socket = require('node:dgram').createSocket('udp4');
const port = Number(process.argv[1]);
socket.on('message', (datagram) => process.stdout.write(datagram.toString('base64') + '\\n'));
socket.bind(0, '127.0.0.1', () => process.stdout.write('port ' + socket.address().port + '\\n'));
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  socket.send(Buffer.from(line, 'base64'), port, '127.0.0.1');
}).on('close', () => process.exit(0));
`;

const API_PORT = 5800;

/** A tincan on a host of a lab without any controller, and a hand on its API. */
export class TincanProcess {
  readonly host: Host;
  readonly directory: string;
  readonly #relay: ChildProcess;
  #tincan: ChildProcess;
  #envelope: ApiEnvelope;
  /** The port on the host's loopback that our datagrams come from. */
  readonly port: number;
  /** Everything that tincan sent, oldest first. */
  readonly received: ApiReply[] = [];
  /** Replies that did not open: not sealed, or sealed with another secret. */
  unopened = 0;
  #wake: (() => void)[] = [];

  private constructor(
    host: Host,
    directory: string,
    relay: ChildProcess,
    port: number,
    tincan: ChildProcess,
    secret: Buffer,
  ) {
    this.host = host;
    this.directory = directory;
    this.#relay = relay;
    this.port = port;
    this.#tincan = tincan;
    this.#envelope = new ApiEnvelope(secret, 'call', process.hrtime.bigint());
    if (relay.stdout === null) throw new Error('the relay has no output');
    createInterface({ input: relay.stdout }).on('line', (line) => this.#take(Buffer.from(line, 'base64')));
  }

  static async start(lab: Lab, host: Host): Promise<TincanProcess> {
    const directory = await lab.directory(host.name);
    const tincan = startTincan(host, directory);
    const secret = await readSecret(directory);
    const relay = host.spawn(process.execPath, ['-e', RELAY, String(API_PORT)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (relay.stdout === null) throw new Error('the relay has no output');
    const [first] = await once(relay.stdout, 'data');
    const port = Number(/^port (\d+)\n$/.exec(String(first))?.[1]);
    const self = new TincanProcess(host, directory, relay, port, tincan, secret);
    await self.untilReady();
    return self;
  }

  /** Kills tincan and starts another in its place; resolves when that answers. */
  async restart(): Promise<void> {
    this.#tincan.kill('SIGKILL');
    await ended(this.#tincan);
    this.#tincan = startTincan(this.host, this.directory);
    await this.untilReady();
  }

  async stop(): Promise<void> {
    this.#tincan.kill('SIGTERM');
    this.#relay.stdin?.end();
    await Promise.all([ended(this.#tincan), ended(this.#relay)]);
  }

  /** Exit code of tincan, or null while it runs. */
  get exitCode(): number | null {
    return this.#tincan.exitCode;
  }

  async untilReady(): Promise<void> {
    for (;;) {
      const id = `ready ${process.hrtime.bigint()}`;
      this.sendCall({ m: 'echo_request', id, msg: '' });
      const answer = await Promise.race([
        this.until((reply) => 'id' in reply && reply.id === id),
        pause(100),
      ]);
      if (answer !== undefined) return;
    }
  }

  /** Raw bytes, as they are. */
  send(datagram: Uint8Array): void {
    this.#relay.stdin?.write(`${Buffer.from(datagram).toString('base64')}\n`);
  }

  seal(payload: Uint8Array, type = 1): Buffer {
    return this.#envelope.seal(type, payload, process.hrtime.bigint());
  }

  sendCall(call: unknown): void {
    this.send(this.seal(Buffer.from(JSON.stringify(call))));
  }

  /** A call with an id of its own, and the reply (for get_state the first one). */
  async call(m: string, parameters: object = {}): Promise<ApiReply> {
    const id = `${m} ${process.hrtime.bigint()}`;
    this.sendCall({ m, id, ...parameters });
    return this.until((reply) => 'id' in reply && reply.id === id);
  }

  async counters(): Promise<Record<string, number>> {
    const state = await this.call('get_state', { uid: '0'.repeat(40) });
    if (state.type !== 'local_state') throw new Error(`get_state answered ${state.type}`);
    return state.counters;
  }

  /** The first thing received, past or to come, that is as wished. */
  async until<T extends ApiReply>(wished: (reply: ApiReply) => reply is T): Promise<T>;
  async until(wished: (reply: ApiReply) => boolean): Promise<ApiReply>;
  async until(wished: (reply: ApiReply) => boolean): Promise<ApiReply> {
    for (;;) {
      const found = this.received.find(wished);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  #take(datagram: Buffer): void {
    const opened = this.#envelope.open(datagram, process.hrtime.bigint());
    if (opened.ok) this.received.push(parseApiReply(opened.payload));
    else this.unopened++;
    for (const wake of this.#wake.splice(0)) wake();
  }
}

function startTincan(host: Host, directory: string): ChildProcess {
  const child = host.spawn(process.execPath, [TINCAN_MAIN], { stdio: ['pipe', 'ignore', 'inherit'] });
  const start: TincanStart = {
    network: 'api',
    interface: 'kith0',
    mtu: 1360,
    api_port: API_PORT,
    state_dir: directory,
    runtime_dir: directory,
    secret_owner: { uid: 0, gid: 0 },
    log_level: 'info',
  };
  child.stdin?.end(JSON.stringify(start));
  return child;
}

async function readSecret(directory: string): Promise<Buffer> {
  for (;;) {
    const text = await readFile(join(directory, 'api.secret'), 'utf8').catch(() => '');
    if (/^[0-9a-f]{64}\n$/.test(text)) return Buffer.from(text.trim(), 'hex');
    await pause(10);
  }
}
