import { ConfigError } from '@kith/base';

export type HubServer =
  | { kind: 'tls' | 'starttls'; host: string; port: number }
  /** `url` as given; the host in it is the name that the certificate must carry (RFC 7395 §3.1, as for HTTPS). */
  | { kind: 'wss'; url: string };

/** The name or address at which the hub is looked for. */
export function hubHost(server: HubServer): string {
  return server.kind === 'wss' ? new URL(server.url).hostname.replace(/^\[(.*)\]$/, '$1') : server.host;
}

/** The port at which the hub is looked for. */
export function hubPort(server: HubServer): number {
  return server.kind === 'wss' ? Number(new URL(server.url).port || HTTPS_PORT) : server.port;
}

/** IANA: xmpp-client 5222; 5223 is what servers use for direct TLS (XEP-0368). */
const STARTTLS_PORT = 5222;
const TLS_PORT = 5223;
/** What a URL leaves out. */
const HTTPS_PORT = 443;

/**
 * Reads `xmpp.server`.
 * @throws ConfigError XMPP_SERVER if it is none of the three forms; `ws://` has no encryption and is not one
 */
export function parseServer(server: string): HubServer {
  const bad = (text: string) => new ConfigError('XMPP_SERVER', text, { field: 'xmpp.server' });
  // The URL class knows the special rules of wss only; for the other two it keeps host and port as they are, which is enough.
  let url: URL;
  try {
    url = new URL(server);
  } catch (cause) {
    throw new ConfigError('XMPP_SERVER', `${server} is no URL`, { field: 'xmpp.server', cause });
  }
  if (url.hostname === '') throw bad(`${server} names no host`);
  if (url.username !== '' || url.password !== '') throw bad('credentials do not belong into the server URL');
  if (url.protocol === 'wss:') return { kind: 'wss', url: server };
  const kind = url.protocol === 'xmpps:' ? 'tls' : url.protocol === 'xmpp:' ? 'starttls' : null;
  if (kind === null) throw bad(`${server}: expected xmpps://, xmpp:// or wss://`);
  if (!['', '/'].includes(url.pathname) || url.search !== '' || url.hash !== '')
    throw bad(`${server} has more than host and port`);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? (kind === 'tls' ? TLS_PORT : STARTTLS_PORT) : Number(url.port);
  return { kind, host, port };
}
