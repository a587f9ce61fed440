import type { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { PeerError, SystemError } from '@kith/base';
import { type Element, xml } from '@xmpp/client';
import { LossError, lost, untrusted } from './loss.ts';
import { NS } from './namespaces.ts';
import { streamLoss } from './stream-error.ts';

/** What a server may say before it is encrypted: a header, features, `proceed`. Some hundred bytes in practice. */
const PLAIN_MAX = 65_536;

/**
 * Talks an XMPP server on a fresh TCP connection into TLS (RFC 6120 §5) and returns when the handshake may begin. Nothing but
 * the domain is said in the clear, and nothing that came in the clear is kept: a man in the middle can neither
 * strip the encryption nor put words in front of the encrypted stream.
 * @throws LossError with PeerError XMPP_NO_STARTTLS if TLS is not offered or not granted
 */
export async function requestStartTls(socket: Socket, domain: string, signal: AbortSignal): Promise<void> {
  const header = xml('stream:stream', {
    to: domain,
    version: '1.0',
    xmlns: NS.client,
    'xmlns:stream': NS.streams,
  });
  const { promise, resolve, reject } = settleOnce();
  const parser = new xml.Parser();
  const decoder = new StringDecoder('utf8');
  let received = 0;

  const onElement = (element: Element) => {
    if (element.is('proceed', NS.tls)) return resolve();
    if (element.is('features', NS.streams) && element.getChild('starttls', NS.tls) !== undefined) {
      socket.write(xml('starttls', { xmlns: NS.tls }).toString());
      return;
    }
    // Anyone may have said so: what is not encrypted makes us wait, as any silence would, and nothing else.
    if (element.is('error', NS.streams))
      return reject(new LossError({ ...streamLoss(element), kind: 'lost' }));
    const what = element.is('features', NS.streams)
      ? 'offers no STARTTLS'
      : `answered STARTTLS with <${element.name}/>`;
    const text = `the hub ${what}; nothing was sent to it, since anyone on the way could read it`;
    reject(new LossError(untrusted(new PeerError('XMPP_NO_STARTTLS', text, { field: 'xmpp.server' }))));
  };
  const onData = (chunk: Buffer) => {
    received += chunk.length;
    if (received > PLAIN_MAX) return reject(garbage());
    try {
      parser.write(decoder.write(chunk));
    } catch (cause) {
      reject(garbage(cause));
    }
  };
  const onEnd = () =>
    reject(new LossError(lost(new SystemError('XMPP_CONNECT', 'the hub hung up before TLS'))));
  const onError = (cause: Error) =>
    reject(new LossError(lost(new SystemError('XMPP_CONNECT', 'lost before TLS', { cause }))));
  const onAbort = () => onError(new Error('took too long'));

  parser.on('element', onElement);
  parser.on('error', (cause: unknown) => reject(garbage(cause)));
  parser.on('end', onEnd);
  socket.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onError);
  signal.addEventListener('abort', onAbort);
  // ltx writes an empty element closed; a stream header stays open.
  socket.write(`<?xml version='1.0'?>${header.toString().slice(0, -2)}>`);
  try {
    await promise;
    if (signal.aborted) onAbort();
  } catch (error) {
    socket.on('error', () => {}).destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    socket.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onError);
    // Without a `data` listener a flowing socket would throw away what comes; the TLS layer reads it from the handle itself.
    socket.pause();
  }
}

function garbage(cause?: unknown): LossError {
  return new LossError(
    lost(new PeerError('XMPP_PROTOCOL', 'what the hub sent before TLS is not XMPP', { cause })),
  );
}

function settleOnce(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
