import { lookup } from 'node:dns/promises';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, type TLSSocket } from 'node:tls';
import { domainToASCII } from 'node:url';
import { PeerError, SystemError } from '@kith/base';
import WebSocket from 'ws';
import { connectAny } from './connect-any.ts';
import { type HubSocket, TlsHubSocket, WebHubSocket } from './hub-socket.ts';
import { LossError, lost, untrusted } from './loss.ts';
import { type HubServer, hubHost, hubPort } from './server-url.ts';
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
  const { server } = options;
  const host = hubHost(server);
  const tcp = await openTcp(host, hubPort(server), options);
  if (server.kind === 'wss') return openWebSocket(server.url, host, tcp, options);
  if (server.kind === 'starttls') await requestStartTls(tcp, options.domain, options.signal);
  return new TlsHubSocket(await openTls(tcp, options, server.kind === 'tls'));
}

function gaveUp(signal: AbortSignal): ReturnType<typeof lost> {
  return lost(new SystemError('XMPP_CONNECT', 'gave up connecting', { cause: signal.reason }));
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
    const onAbort = () => fail(new LossError(gaveUp(signal)));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort);
    arrange((value) => {
      signal.removeEventListener('abort', onAbort);
      resolve(value);
    }, fail);
  });
}

async function openTcp(host: string, port: number, { resolve, signal }: SocketOptions): Promise<Socket> {
  const ask = resolve ?? systemAddresses;
  const addresses = await first<string[]>(
    signal,
    (given, reject) => void ask(host).then(given, reject),
    () => {},
  );
  if (addresses.length === 0)
    throw new LossError(lost(new SystemError('XMPP_CONNECT', `${host} has no address`)));
  const connect = (address: string): Socket => connectTcp({ host: address, port, noDelay: true });
  try {
    return await connectAny(addresses, connect, signal);
  } catch (error) {
    throw new LossError(signal.aborted || !(error instanceof Error) ? gaveUp(signal) : classify(error));
  }
}

async function systemAddresses(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
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

function openWebSocket(url: string, host: string, tcp: Socket, options: SocketOptions): Promise<HubSocket> {
  const socket = new WebSocket(url, ['xmpp'], {
    maxPayload: options.maxMessage,
    // Stanzas are small; compression would cost memory per connection and leak lengths of secrets.
    perMessageDeflate: false,
    followRedirects: false,
    createConnection: () =>
      connectTls({
        ...{ socket: tcp, host, minVersion: TLS_FLOOR },
        ...(isIP(host) === 0 ? { servername: host } : {}),
        ...(options.ca === undefined ? {} : { ca: options.ca }),
      }),
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
    () => {
      socket.on('error', () => {}).terminate();
      tcp.on('error', () => {}).destroy();
    },
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
  return lost(
    new SystemError('XMPP_CONNECT', 'cannot reach the hub', { field: 'xmpp.server', cause: error }),
  );
}
