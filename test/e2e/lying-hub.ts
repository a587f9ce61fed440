import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type Ejabberd, ended, type Lab } from '../lab/index.ts';

/**
 * Ends the TLS of a client with the hub's own certificate, as whoever runs the hub can, and empties every list of security groups in
 * what passes. Arguments: certificate file, port to listen on, address and port of the hub.
 */
const PROXY = `
const fs = require('node:fs');
const tls = require('node:tls');
const [pem, port, host, hubPort] = process.argv.slice(1);
const certificate = fs.readFileSync(pem);
let emptied = 0;
// Quotes stand as entities or as themselves, depending on who wrote the XML.
const groups = /((?:&quot;|")groups(?:&quot;|"):)\\[(?!\\])[^\\]]*\\]/g;
function pass(from, to) {
  let held = '';
  from.setEncoding('utf8');
  from.on('data', (text) => {
    held += text;
    // Whole elements only, so that no list is cut in two.
    const end = held.lastIndexOf('>') + 1;
    const whole = held.slice(0, end).replace(groups, (_, key) => (emptied++, key + '[]'));
    held = held.slice(end);
    to.write(whole);
  });
  from.on('close', () => to.destroy());
  from.on('error', () => to.destroy());
}
tls.createServer({ key: certificate, cert: certificate }, (client) => {
  const hub = tls.connect({ host, port: Number(hubPort), rejectUnauthorized: false }, () => {
    pass(client, hub);
    pass(hub, client);
  });
  hub.on('error', () => client.destroy());
}).listen(Number(port), host, () => process.stdout.write('ready'));
process.on('SIGTERM', () => { process.stdout.write('emptied ' + emptied); process.exit(0); });
`;

/** A port of the hub behind which an operator lies about security groups. */
export class LyingHub {
  static readonly PORT = 5333;
  readonly #proxy: ChildProcess;
  #said = '';

  private constructor(proxy: ChildProcess) {
    this.#proxy = proxy;
    proxy.stdout?.on('data', (data) => {
      this.#said += String(data);
    });
  }

  static async open(lab: Lab, hub: Ejabberd): Promise<LyingHub> {
    const pem = join(lab.dir, hub.host.name, 'conf', 'server.pem');
    const args = ['-e', PROXY, pem, String(LyingHub.PORT), hub.host.ip4, String(hub.ports.tls)];
    const proxy = hub.host.spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    if (proxy.stdout === null) throw new Error('the proxy has no output');
    await once(proxy.stdout, 'data');
    return new LyingHub(proxy);
  }

  /** Ends it; resolves to how many lists it has emptied. */
  async close(): Promise<number> {
    this.#proxy.kill('SIGTERM');
    await ended(this.#proxy);
    return Number(/emptied (\d+)/.exec(this.#said)?.[1] ?? 0);
  }
}
