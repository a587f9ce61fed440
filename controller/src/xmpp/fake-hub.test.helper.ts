import { execFileSync } from 'node:child_process';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { type Element, xml } from '@xmpp/client';
import type { ScramHash } from './scram.ts';

export const DOMAIN = 'vpn.test';
export const PASSWORD = 'pencil';
const HEADER = `<?xml version='1.0'?><stream:stream id='1' from='${DOMAIN}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`;

/** How the hub behaves; what is left out is done as a good server does. */
export interface Behaviour {
  /** `starttls`: plain first. `naked`: plain, and offers no TLS. `denied`: offers it and then fails. Default `direct`. */
  tls?: 'direct' | 'starttls' | 'naked' | 'denied';
  /** Put behind `<proceed/>` in the clear. */
  injected?: string;
  mechanisms?: string[];
  /** Features beside the mechanisms, before signing in. */
  early?: string;
  /** `challenge`: the proof comes before the success. `wrong`: a false proof. `none`: success without any exchange. */
  proof?: 'success' | 'challenge' | 'wrong' | 'none';
  sm?: boolean;
  resource?: string;
  roster?: string;
  /** Called with each stanza that is not a matter of signing in; true if it was dealt with. */
  onStanza?: (peer: FakePeer, stanza: Element) => boolean;
}

export function makeCertificate(): { ca: string; key: string; cert: string } {
  const dir = mkdtempSync(join(tmpdir(), 'kith-fake-hub-'));
  try {
    const [key, cert] = [join(dir, 'key'), join(dir, 'cert')];
    const kind = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
    ];
    const names = ['-subj', '/CN=hub', '-addext', `subjectAltName=DNS:${DOMAIN}`];
    execFileSync('openssl', [...kind, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const pem = readFileSync(cert, 'utf8');
    return { ca: pem, key: readFileSync(key, 'utf8'), cert: pem };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** A small XMPP server for one account, which can be as false as a test wants it. */
export class FakeHub {
  behaviour: Behaviour;
  readonly peers: FakePeer[] = [];
  readonly #server: Server;
  readonly #pem: { key: string; cert: string };

  private constructor(pem: { key: string; cert: string }, behaviour: Behaviour) {
    this.#pem = pem;
    this.behaviour = behaviour;
    this.#server = createServer((socket) => this.peers.push(new FakePeer(socket, this.#pem, this.behaviour)));
  }

  static async start(pem: { key: string; cert: string }, behaviour: Behaviour = {}): Promise<FakeHub> {
    const hub = new FakeHub(pem, behaviour);
    hub.#server.listen(0, '127.0.0.1');
    await once(hub.#server, 'listening');
    return hub;
  }

  get address(): string {
    const address = this.#server.address();
    return `127.0.0.1:${isAddress(address) ? address.port : 0}`;
  }

  get last(): FakePeer {
    const peer = this.peers.at(-1);
    if (peer === undefined) throw new Error('nobody came');
    return peer;
  }

  stop(): void {
    this.#server.close();
    for (const peer of this.peers) peer.cut();
  }
}

function isAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}

/** One connection to the fake hub. */
export class FakePeer {
  /** All that came, decrypted. */
  received = '';
  readonly stanzas: Element[] = [];
  readonly #behaviour: Behaviour;
  readonly #pem: { key: string; cert: string };
  #socket: Socket;
  #scram: { hash: ScramHash; bare: string; serverFirst: string } | null = null;
  #proof = '';
  #signedIn = false;
  #secure = false;

  constructor(socket: Socket, pem: { key: string; cert: string }, behaviour: Behaviour) {
    this.#behaviour = behaviour;
    this.#pem = pem;
    this.#socket = socket;
    if ((behaviour.tls ?? 'direct') === 'direct') this.#encrypt();
    else this.#listen();
  }

  send(text: string): void {
    this.#socket.write(text);
  }

  sendBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Sends what is buffered, then hangs up. */
  end(): void {
    this.#socket.end();
  }

  cut(): void {
    this.#socket.destroy();
  }

  #encrypt(): void {
    this.#socket.removeAllListeners('data');
    this.#secure = true;
    this.#socket.on('error', () => {});
    this.#socket = new TLSSocket(this.#socket, { isServer: true, ...this.#pem });
    this.#listen();
  }

  #listen(): void {
    let parser = this.#parser();
    this.#socket.on('error', () => {});
    this.#socket.on('data', (data: Buffer) => {
      const text = data.toString();
      this.received += text;
      // A restarted stream begins with a new XML declaration.
      if (text.startsWith('<?xml')) parser = this.#parser();
      parser.write(text);
    });
  }

  #parser() {
    const parser = new xml.Parser();
    parser.on('start', () => this.send(HEADER + this.#features()));
    parser.on('element', (element: Element) => this.#onElement(element));
    return parser;
  }

  #features(): string {
    const { tls = 'direct', mechanisms = ['SCRAM-SHA-1'], early = '', sm = false } = this.#behaviour;
    const mechanism = mechanisms.map((name) => `<mechanism>${name}</mechanism>`).join('');
    const sasl = `<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>${mechanism}</mechanisms>`;
    const bind = `<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>${sm ? "<sm xmlns='urn:xmpp:sm:3'/>" : ''}`;
    const starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>";
    const plain = tls === 'naked' ? sasl : starttls;
    return `<stream:features>${!this.#secure ? plain : this.#signedIn ? bind : sasl + early}</stream:features>`;
  }

  #onElement(element: Element): void {
    if (element.is('starttls')) {
      if (this.#behaviour.tls === 'denied') {
        this.send("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        return;
      }
      this.send(`<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>${this.#behaviour.injected ?? ''}`);
      this.#encrypt();
      return;
    }
    if (element.is('auth')) {
      this.#onAuth(element);
      return;
    }
    if (element.is('response')) {
      this.#onResponse(element);
      return;
    }
    if (element.is('enable')) {
      this.send("<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/>");
      return;
    }
    if (element.is('resume')) {
      this.send("<failed xmlns='urn:xmpp:sm:3'><item-not-found/></failed>");
      return;
    }
    if (element.is('iq') || element.is('presence') || element.is('message')) this.#onStanza(element);
  }

  #sasl(name: string, text: string): void {
    const body = Buffer.from(text).toString('base64');
    this.send(`<${name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>${body}</${name}>`);
  }

  #onAuth(element: Element): void {
    if (this.#behaviour.proof === 'none') {
      this.#signedIn = true;
      this.#sasl('success', '');
      return;
    }
    const bare = Buffer.from(element.text(), 'base64').toString().slice(3);
    const nonce = bare.slice(bare.indexOf(',r=') + 3);
    const hash = element.attrs.mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha1';
    this.#scram = { hash, bare, serverFirst: `r=${nonce}hub,s=QSXCR+Q6sek8bf92,i=4096` };
    this.#sasl('challenge', this.#scram.serverFirst);
  }

  #onResponse(element: Element): void {
    const text = Buffer.from(element.text(), 'base64').toString();
    if (this.#scram === null) return;
    if (text === '') {
      this.#succeed('');
      return;
    }
    const { hash, bare, serverFirst } = this.#scram;
    const size = createHash(hash).digest().length;
    const salted = pbkdf2Sync(PASSWORD, Buffer.from('QSXCR+Q6sek8bf92', 'base64'), 4096, size, hash);
    const auth = `${bare},${serverFirst},${text.slice(0, text.lastIndexOf(',p='))}`;
    const key = createHmac(hash, salted).update('Server Key').digest();
    this.#proof = `v=${createHmac(hash, key).update(auth).digest('base64')}`;
    const { proof = 'success' } = this.#behaviour;
    if (proof === 'wrong') {
      this.#succeed(`v=${Buffer.alloc(size).toString('base64')}`);
      return;
    }
    if (proof === 'challenge') {
      this.#sasl('challenge', this.#proof);
      return;
    }
    this.#succeed(this.#proof);
  }

  #succeed(proof: string): void {
    this.#signedIn = true;
    this.#sasl('success', proof);
  }

  #onStanza(stanza: Element): void {
    const { resource, roster = '', onStanza } = this.#behaviour;
    const { id } = stanza.attrs;
    const wanted = stanza.getChild('bind')?.getChildText('resource');
    if (wanted !== undefined && wanted !== null) {
      const jid = `alice@${DOMAIN}/${resource ?? wanted}`;
      const bound = `<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>${jid}</jid></bind>`;
      this.send(`<iq type='result' id='${id}'>${bound}</iq>`);
      return;
    }
    this.stanzas.push(stanza);
    if (onStanza?.(this, stanza) === true) return;
    if (stanza.getChild('query', 'jabber:iq:roster') !== undefined && stanza.attrs.type === 'get') {
      this.send(`<iq type='result' id='${id}'><query xmlns='jabber:iq:roster'>${roster}</query></iq>`);
    }
  }
}
