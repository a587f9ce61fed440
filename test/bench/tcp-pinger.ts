import { createInterface } from 'node:readline';
import { SystemError } from '@kith/base';
import { ended, type Host } from '../lab/index.ts';

const PORT = 7007;

/** Echoes whatever comes. */
const SERVER = `
require('node:net').createServer((socket) => {
  socket.setNoDelay(true).on('error', () => socket.destroy()).pipe(socket);
}).listen(Number(process.argv[2]), process.argv[1], () => console.log('listening'));
`;

/** Sends one byte, waits for it to come back, prints the milliseconds that took, and after a pause does it again. */
const CLIENT = `
const socket = require('node:net').connect(Number(process.argv[2]), process.argv[1]).setNoDelay(true);
let sentAt = 0;
const send = () => { sentAt = performance.now(); socket.write('x'); };
socket.on('connect', send).on('data', () => {
  console.log(performance.now() - sentAt);
  setTimeout(send, 100);
}).on('error', (error) => { console.error(error.message); process.exit(1); });
`;

/** A TCP connection whose round trips are measured for as long as it runs. */
export class TcpPinger {
  readonly #processes: ReturnType<Host['spawn']>[];
  /** Milliseconds of each round trip. */
  readonly times: number[] = [];

  private constructor(processes: ReturnType<Host['spawn']>[]) {
    this.#processes = processes;
  }

  /** SystemError NO_LISTENER when the server's host cannot listen on the address. */
  static async start(client: Host, server: Host, address: string): Promise<TcpPinger> {
    const listener = node(server, SERVER, address);
    if (listener.stdout === null) throw new SystemError('NO_LISTENER', 'no output');
    const lines = createInterface({ input: listener.stdout })[Symbol.asyncIterator]();
    if ((await lines.next()).value !== 'listening') {
      throw new SystemError('NO_LISTENER', `${server.name} cannot listen on ${address}`);
    }
    const caller = node(client, CLIENT, address);
    const pinger = new TcpPinger([listener, caller]);
    if (caller.stdout !== null) {
      createInterface({ input: caller.stdout }).on('line', (line) => pinger.times.push(Number(line)));
    }
    return pinger;
  }

  /** Whether the connection still stands. */
  get isAlive(): boolean {
    return this.#processes.every((process) => process.exitCode === null && process.signalCode === null);
  }

  async stop(): Promise<void> {
    for (const process of this.#processes) process.kill('SIGKILL');
    await Promise.all(this.#processes.map(ended));
  }
}

function node(host: Host, script: string, address: string): ReturnType<Host['spawn']> {
  return host.spawn(process.execPath, ['-e', script, address, String(PORT)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
