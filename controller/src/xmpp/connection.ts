import { randomBytes } from 'node:crypto';
import { type Logger, PeerError, SystemError, Timers } from '@kith/base';
import { type Client, client, type Element, xml } from '@xmpp/client';
import type { HubSocket } from './hub-socket.ts';
import { bareJid, localOf, normalJid } from './jid.ts';
import { asLoss, garbage, type Loss, lost, untrusted } from './loss.ts';
import { NS } from './namespaces.ts';
import { openSocket } from './open-socket.ts';
import { installScram } from './sasl.ts';
import type { Scram } from './scram.ts';
import type { HubServer } from './server-url.ts';
import { errorCondition, nestedDeeper } from './stanza.ts';
import { conditionOf, saslLoss, streamLoss } from './stream-error.ts';
import type { Resolve } from './types.ts';

/** From the first SYN to a bound resource; covers a slow mobile network and the slowest password hash that we accept. */
const SETUP_MS = 20_000;
/** After our `</stream>` the hub may still send its own; then we close anyway. */
const CLOSE_MS = 1_000;
/**
 * Largest element taken. Servers let 256 KiB of one client through to another (ejabberd, Prosody; 512 KiB between servers), but
 * a roster comes from the server itself: 4 MiB are some 25 000 contacts.
 */
const ELEMENT_MAX = 4 * 1024 * 1024;
/** Nothing that we read is nested deeper than six. */
const DEPTH_MAX = 32;
/** Output that the hub does not take. Requests are bounded elsewhere; this bounds answers to whoever floods us with requests. */
const UNSENT_MAX = 4 * 1024 * 1024;
/** Stanzas that may come between the binding and the answer to `<enable/>`. */
const EARLY_MAX = 64;

export interface ConnectionOptions {
  /** Bare JID in lower case. */
  jid: string;
  domain: string;
  password: string;
  resource: string;
  server: HubServer;
  ca: string | undefined;
  resolve: Resolve | undefined;
  /** Session to go on with (XEP-0198): its id and how many stanzas of it came in. */
  resume: { id: string; inbound: number } | null;
  log: Logger;
}

/** How the stream stands when it is ready. */
export type Ready =
  /** `h`: the hub's count of our stanzas, unchecked. */
  | { resumed: true; h: string | undefined }
  /** `managed`: stream management is on; `id` only if the hub keeps the session for a resumption. */
  | { resumed: false; managed: boolean; id: string | null };

export interface ConnectionHandlers {
  onReady(ready: Ready): void;
  /** Each stanza, from the moment of `onReady` on. */
  onStanza(stanza: Element): void;
  /** The hub's `<a h=…/>`. */
  onAck(h: string | undefined): void;
  /** The hub's `<r/>`: tell how many stanzas came in. */
  onAckRequest(): void;
  /** Anything at all came in. */
  onHeard(): void;
  /** The end, called exactly once unless `close` or `destroy` was called first. */
  onLoss(loss: Loss): void;
}

type Phase = 'connecting' | 'sign-in' | 'resume' | 'bind' | 'enable' | 'ready' | 'closed';

/**
 * One connection to the hub, from TCP to a bound resource and to its end; never used twice. @xmpp/client does the stream header, the
 * XML and the SASL frames on a socket that is encrypted before the library sees it. It is shown nothing but
 * SASL: it has no way to sign in otherwise, to bind without having signed in, or to stumble over a stanza.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #handlers: ConnectionHandlers;
  readonly #client: Client;
  readonly #timers = new Timers();
  readonly #abort = new AbortController();
  readonly #bindId = randomBytes(8).toString('hex');
  #phase: Phase = 'connecting';
  #socket: HubSocket | null = null;
  #scram: Scram | null = null;
  #managed = false;
  #elementBytes = 0;
  #early: Element[] = [];

  constructor(options: ConnectionOptions, handlers: ConnectionHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const service = options.server.kind === 'wss' ? options.server.url : 'xmpps://hub';
    this.#client = client({
      service,
      domain: options.domain,
      timeout: SETUP_MS,
      credentials: async (authenticate, [best]) => {
        if (best !== undefined) await authenticate({}, best);
      },
    });
    this.#dress(this.#client, service);
  }

  /** Begins. Everything that follows is told to the handlers. */
  start(): void {
    this.#timers.after('setup', SETUP_MS, () => {
      this.#fail(
        lost(
          new SystemError('XMPP_TIMEOUT', `the hub did not finish signing us in within ${SETUP_MS / 1000} s`),
        ),
      );
    });
    this.#open().catch((error: unknown) => this.#fail(asLoss(error)));
  }

  /** Both ends' IP addresses; null before there is a socket. */
  get addresses(): Pick<HubSocket, 'localAddress' | 'remoteAddress'> | null {
    return this.#socket;
  }

  /** Sends a stanza or another element of the stream. Dropped if the connection is closed: the caller keeps what must arrive. */
  write(element: Element): void {
    const socket = this.#socket;
    if (this.#phase === 'closed' || socket === null) return;
    // RFC 7395 §3.3.3: each message of a WebSocket stands alone and names its namespace.
    if (this.#options.server.kind === 'wss') element.attrs.xmlns ??= NS.client;
    if (socket.bufferedBytes > UNSENT_MAX) {
      this.#fail(lost(new PeerError('XMPP_STALLED', 'the hub takes no data')));
      return;
    }
    socket.write(element.toString());
  }

  /** Ends the stream in order, so that the hub tells contacts at once. Resolves when the connection is closed. */
  async close(): Promise<void> {
    const socket = this.#socket;
    if (this.#phase === 'closed') return;
    const wasReady = this.#phase === 'ready';
    this.#phase = 'closed';
    if (socket !== null && wasReady) {
      await new Promise<void>((resolve) => {
        this.#timers.after('close', CLOSE_MS, resolve);
        socket.once('close', resolve);
        const wss = this.#options.server.kind === 'wss';
        socket.write(wss ? xml('close', { xmlns: NS.framing }).toString() : '</stream:stream>');
        socket.end();
      });
    }
    this.#release();
  }

  /** Drops the connection at once, without a word to the hub: it may keep the session for a resumption. */
  destroy(): void {
    this.#phase = 'closed';
    this.#release();
  }

  #dress(library: Client, service: string): void {
    library.reconnect.stop();
    const transport = library.transports.find(
      ({ prototype }) => prototype.socketParameters(service) !== undefined,
    );
    if (transport !== undefined) {
      library.Transport = transport;
      library.Parser = transport.prototype.Parser;
    }
    // The library's own ways would write to the socket and wait with timers of their own.
    library._streamError = async () => {};
    library.on('error', (error: unknown) => this.#fail(asLoss(error)));
    const take = library._onData.bind(library);
    library._onData = (text) => this.#onData(text, take);
    const pass = library._onElement.bind(library);
    library._onElement = (element) => this.#onElement(element, pass);
    library.on('close', () => this.#fail(lost(new SystemError('XMPP_CLOSED', 'the hub ended the stream'))));
  }

  async #open(): Promise<void> {
    const { server, domain, ca, resolve, jid, password } = this.#options;
    this.#scram = null;
    installScram(this.#client.saslFactory, localOf(jid) ?? '', password, (scram) => {
      this.#scram = scram;
    });
    const socket = await openSocket({
      server,
      domain,
      ca,
      resolve,
      maxMessage: ELEMENT_MAX,
      signal: this.#abort.signal,
    });
    if (this.#phase !== 'connecting') return socket.destroy();
    this.#phase = 'sign-in';
    this.#socket = socket;
    socket.on('close', () =>
      this.#fail(lost(new SystemError('XMPP_CLOSED', 'the connection to the hub was lost'))),
    );
    this.#client._attachSocket(socket);
    await this.#client.open({ domain });
  }

  #onData(text: string, take: (text: string) => void): void {
    if (this.#phase === 'closed') return;
    this.#handlers.onHeard();
    this.#elementBytes += text.length;
    if (this.#elementBytes > ELEMENT_MAX) {
      // The hub would send the same stanza again in a resumed session.
      const error = new PeerError('XMPP_STANZA_TOO_LARGE', `a stanza of more than ${ELEMENT_MAX} bytes`);
      this.#fail({ kind: 'lost', error, resumable: false });
      return;
    }
    try {
      take(text);
    } catch (cause) {
      this.#fail(garbage(cause));
    }
  }

  #onElement(element: Element, pass: (element: Element) => void): void {
    this.#elementBytes = 0;
    if (this.#phase === 'closed') return;
    // Stripped, not dropped: it counts as received, and whoever asks in it is still answered.
    if (nestedDeeper(element, DEPTH_MAX)) element.children = [];
    try {
      this.#route(element, pass);
    } catch (error) {
      this.#fail(asLoss(error));
    }
  }

  #route(element: Element, pass: (element: Element) => void): void {
    if (element.is('error', NS.streams)) {
      this.#fail(streamLoss(element));
      return;
    }
    switch (this.#phase) {
      case 'sign-in':
        this.#signIn(element, pass);
        return;
      case 'resume':
        this.#resume(element);
        return;
      case 'bind':
        this.#bind(element);
        return;
      case 'enable':
        this.#enable(element);
        return;
      case 'ready':
        if (isStanza(element)) this.#handlers.onStanza(element);
        else if (element.is('r', NS.sm)) this.#handlers.onAckRequest();
        else if (element.is('a', NS.sm)) this.#handlers.onAck(element.attrs.h);
        return;
      default:
        return;
    }
  }

  #signIn(element: Element, pass: (element: Element) => void): void {
    if (element.is('features', NS.streams)) {
      if (this.#scram?.proven === true) {
        this.#afterSignIn(element);
        return;
      }
      const mechanisms = element.getChild('mechanisms', NS.sasl)?.getChildren('mechanism', NS.sasl) ?? [];
      const names = mechanisms.map((mechanism) => mechanism.text());
      if (!names.some((name) => name === 'SCRAM-SHA-256' || name === 'SCRAM-SHA-1')) {
        const offered = names.join(', ').slice(0, 200) || 'nothing';
        const text = `the hub offers no SCRAM-SHA-256 or SCRAM-SHA-1 to sign in with (it offers ${offered})`;
        this.#fail(untrusted(new PeerError('XMPP_NO_SCRAM', text)));
        return;
      }
      // Only SASL is for the library: no second STARTTLS, no SASL2, no binding before signing in.
      element.children = element.getChildren('mechanisms', NS.sasl);
      pass(element);
      return;
    }
    if (element.getNS() !== NS.sasl) throw violation(element);
    if (element.is('failure', NS.sasl)) {
      this.#fail(saslLoss(conditionOf(element)));
      return;
    }
    if (element.is('success', NS.sasl)) {
      // The proof comes with the success, or came as a last challenge before it.
      const scram = this.#scram;
      if (scram === null) throw violation(element);
      if (!scram.proven) scram.verify(Buffer.from(element.text(), 'base64').toString('utf8'));
    }
    pass(element);
  }

  #afterSignIn(features: Element): void {
    this.#managed = features.getChild('sm', NS.sm) !== undefined;
    const { resume } = this.#options;
    if (this.#managed && resume !== null) {
      this.#phase = 'resume';
      this.write(xml('resume', { xmlns: NS.sm, previd: resume.id, h: String(resume.inbound) }));
      return;
    }
    this.#requestBind();
  }

  #resume(element: Element): void {
    if (element.is('resumed', NS.sm)) {
      this.#ready({ resumed: true, h: element.attrs.h });
      return;
    }
    if (!element.is('failed', NS.sm)) throw violation(element);
    this.#options.log.debug({ condition: conditionOf(element) }, 'the hub has forgotten our session');
    this.#requestBind();
  }

  #requestBind(): void {
    this.#phase = 'bind';
    const bind = xml('bind', { xmlns: NS.bind }, xml('resource', {}, this.#options.resource));
    this.write(xml('iq', { type: 'set', id: this.#bindId }, bind));
  }

  #bind(element: Element): void {
    if (!element.is('iq') || element.attrs.id !== this.#bindId) return;
    const { jid, resource } = this.#options;
    if (element.attrs.type !== 'result') {
      const condition = errorCondition(element);
      const error = new PeerError(
        'XMPP_BIND',
        `the hub does not grant the resource ${resource}: ${condition}`,
      );
      this.#fail({ kind: condition === 'conflict' ? 'conflict' : 'lost', error, resumable: false });
      return;
    }
    const granted = normalJid(element.getChild('bind', NS.bind)?.getChildText('jid') ?? undefined);
    if (granted !== `${jid}/${resource}`) {
      // RFC 6120 §7.7.2.2: a hub may give another resource if this one is taken. Nobody would know us by it.
      const other = granted !== null && bareJid(granted) === jid;
      const error = new PeerError(
        'XMPP_BIND',
        `asked for the resource ${resource}, but the hub bound ${granted}`,
      );
      this.#fail({ kind: other ? 'conflict' : 'untrusted', error, resumable: false });
      return;
    }
    if (!this.#managed) {
      this.#ready({ resumed: false, managed: false, id: null });
      return;
    }
    this.#phase = 'enable';
    this.write(xml('enable', { xmlns: NS.sm, resume: 'true' }));
  }

  #enable(element: Element): void {
    if (isStanza(element)) {
      // Not yet counted by either side (XEP-0198 §3), but not to be lost.
      if (this.#early.length < EARLY_MAX) this.#early.push(element);
      return;
    }
    if (element.is('failed', NS.sm)) {
      this.#ready({ resumed: false, managed: false, id: null });
      return;
    }
    if (!element.is('enabled', NS.sm)) throw violation(element);
    const { id, resume } = element.attrs;
    const resumable = (resume === 'true' || resume === '1') && id !== undefined && id !== '';
    this.#ready({ resumed: false, managed: true, id: resumable ? id : null });
  }

  #ready(ready: Ready): void {
    this.#phase = 'ready';
    this.#timers.clear('setup');
    this.#handlers.onReady(ready);
    for (const stanza of this.#early.splice(0)) {
      // A handler may have closed us.
      if (this.#phase === 'ready') this.#handlers.onStanza(stanza);
    }
  }

  #fail(loss: Loss): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#release();
    this.#handlers.onLoss(loss);
  }

  #release(): void {
    this.#timers.clearAll();
    this.#abort.abort();
    // Ends the library's own waits, which hold timers, by the event that they take for failure.
    this.#client.emit('error', new Error('closed'));
    this.#client._detachParser();
    this.#client._detachSocket();
    this.#socket?.on('error', () => {}).destroy();
  }
}

function isStanza(element: Element): boolean {
  return element.is('iq') || element.is('presence') || element.is('message');
}

function violation(element: Element): PeerError {
  return new PeerError(
    'XMPP_PROTOCOL',
    `the hub sent <${element.name.slice(0, 64)}/> where it makes no sense`,
  );
}
