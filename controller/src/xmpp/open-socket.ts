import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, type TLSSocket } from 'node:tls';
import { domainToASCII } from 'node:url';
import { PeerError, SystemError } from '@kith/base';
import WebSocket from 'ws';
import { type HubSocket, TlsHubSocket, WebHubSocket } from './hub-socket.ts';
import { LossError, lost, untrusted } from './loss.ts';
import { type HubServer, hubHost } from './server-url.ts';
import { requestStartTls } from './starttls.ts';
import type { Resolve } from './types.ts';

export interface SocketOptions {
  server: HubServer;
  /** Domain of the account's JID: the name that the certificate must carry, except for `wss`. */
  domain: string;
  /** PEM of trusted authorities; the system's if undefined. */
  ca: string | undefined;
  /** Addresses of the hub's host; undefined: the system's resolver is asked. */
  resolve: Resolve | undefined;
  /** Largest WebSocket message taken, in bytes. */
  maxMessage: number;
  /** Ends the try: the promise is rejected and nothing stays open. */
  signal: AbortSignal;
}

/** TLS 1.0 and 1.1 are forbidden (RFC 8996). */
const TLS_FLOOR = 'TLSv1.2';

/**
 * Connects to the hub and returns only when the stream is encrypted and the hub's certificate accepted.
 *
 * Which name the certificate must carry: with `xmpp` and `xmpps` the domain of the JID, whatever host the user
 * named (RFC 6120 §13.7.2.1: the source domain decides, never what DNS or a hosting scheme derived from it). With `wss` the host
 * of the URL, since a WebSocket is an HTTPS connection first (RFC 7395 §3.1) and shared web front ends hold
 * certificates for their own name only; the user vouches for that host by writing it into the config.
 * @throws LossError with PeerError XMPP_CERTIFICATE, XMPP_TLS, XMPP_NO_STARTTLS, or SystemError XMPP_CONNECT
 */
export async function openSocket(options: SocketOptions): Promise<HubSocket> {
  const { server, resolve, signal } = options;
  const host = hubHost(server);
  const lookup = resolve === undefined ? undefined : await lookupOf(host, resolve, signal);
  if (server.kind === 'wss') return openWebSocket(server.url, lookup, options);
  const tcp = await openTcp(host, server.port, lookup, signal);
  if (server.kind === 'starttls') await requestStartTls(tcp, options.domain, options.signal);
  return new TlsHubSocket(await openTls(tcp, options, server.kind === 'tls'));
}

/** Resolves the host beforehand, because net.connect asks for names only and not whether an address may be used. */
async function lookupOf(host: string, resolve: Resolve, signal: AbortSignal): Promise<LookupFunction> {
  const addresses = await first<string[]>(
    signal,
    (given, reject) => void resolve(host).then(given, reject),
    () => {},
  );
  const [one, ...others] = addresses.map((address) => ({ address, family: isIP(address) }));
  if (one === undefined) throw new LossError(lost(new SystemError('XMPP_CONNECT', `${host} has no address`)));
  return (_name, { all }, callback) => {
    if (all === true) callback(null, [one, ...others]);
    else callback(null, one.address, one.family);
  };
}

/** Settles with the first of `ready` and failure; `discard` releases the half-made connection on failure. */
function first<T>(
  signal: AbortSignal,
  arrange: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
  discard: () => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const fail = (error: Error) => {
      signal.removeEventListener('abort', onAbort);
      discard();
      reject(error instanceof LossError ? error : new LossError(classify(error)));
    };
    const onAbort = () =>
      fail(new SystemError('XMPP_CONNECT', 'gave up connecting', { cause: signal.reason }));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort);
    arrange((value) => {
      signal.removeEventListener('abort', onAbort);
      resolve(value);
    }, fail);
  });
}

function openTcp(
  host: string,
  port: number,
  lookup: LookupFunction | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  const socket = connectTcp({ host, port, noDelay: true, ...(lookup === undefined ? {} : { lookup }) });
  return first<Socket>(
    signal,
    (resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(socket);
      });
    },
    // A destroyed socket may still report an error, and an error that nobody listens to ends the process.
    () => socket.on('error', () => {}).destroy(),
  );
}

function openTls(tcp: Socket, options: SocketOptions, direct: boolean): Promise<TLSSocket> {
  const name = domainToASCII(options.domain) || options.domain;
  const socket = connectTls({
    socket: tcp,
    minVersion: TLS_FLOOR,
    // RFC 6066 §3 forbids addresses as SNI.
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    // XEP-0368 §3: tells a port that serves several protocols which one is meant.
    ...(direct ? { ALPNProtocols: ['xmpp-client'] } : {}),
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  });
  return first<TLSSocket>(
    options.signal,
    (resolve, reject) => {
      const onClose = () =>
        reject(new SystemError('XMPP_CONNECT', 'the hub closed the connection during the TLS handshake'));
      socket.once('error', reject);
      socket.once('close', onClose);
      socket.once('secureConnect', () => {
        socket.off('error', reject);
        socket.off('close', onClose);
        resolve(socket);
      });
    },
    () => {
      socket.on('error', () => {}).destroy();
      tcp.on('error', () => {}).destroy();
    },
  );
}

function openWebSocket(
  url: string,
  lookup: LookupFunction | undefined,
  options: SocketOptions,
): Promise<HubSocket> {
  const socket = new WebSocket(url, ['xmpp'], {
    minVersion: TLS_FLOOR,
    maxPayload: options.maxMessage,
    // Stanzas are small; compression would cost memory per connection and leak lengths of secrets.
    perMessageDeflate: false,
    followRedirects: false,
    ...(lookup === undefined ? {} : { lookup }),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  });
  return first<HubSocket>(
    options.signal,
    (resolve, reject) => {
      socket.once('error', reject);
      socket.once('open', () => {
        socket.off('error', reject);
        resolve(new WebHubSocket(socket));
      });
    },
    () => socket.on('error', () => {}).terminate(),
  );
}

/** OpenSSL's names for a certificate that was looked at and not accepted, as Node reports them in `code`. */
const CERTIFICATE_CODES =
  /CERT|ISSUER|LEAF_SIGNATURE|ALTNAME|CRL|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|HOSTNAME_MISMATCH/;

function classify(error: Error): ReturnType<typeof lost> {
  if (error instanceof PeerError) return untrusted(error);
  if (error instanceof SystemError) return lost(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (CERTIFICATE_CODES.test(code)) {
    const text = `the hub's certificate is not accepted (${code})`;
    return untrusted(new PeerError('XMPP_CERTIFICATE', text, { field: 'xmpp.ca_file', cause: error }));
  }
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') {
    return lost(new PeerError('XMPP_TLS', 'no TLS with the hub', { cause: error }));
  }
  // When several addresses of a host were tried, the error is an aggregate whose own message is empty.
  const cause = error.message === '' ? new Error(code || error.name) : error;
  return lost(new SystemError('XMPP_CONNECT', 'cannot reach the hub', { field: 'xmpp.server', cause }));
}
