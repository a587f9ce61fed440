import { request as httpRequest } from 'node:http';
import { PeerError, SystemError } from '@kith/base';

/** Descriptions of devices are some ten KiB long. */
const MAX_BODY_BYTES = 65_536;

/** A router on the LAN answers in well under a second; small ones need a moment for SOAP. */
const ANSWER_MS = 4_000;

export interface RouterRequest {
  url: URL;
  /** Undefined: a GET. */
  post?: { body: string; headers: Record<string, string> };
  localAddress: string;
  signal: AbortSignal;
}

/** One request to a router. Follows nothing, keeps nothing open. @throws SystemError ROUTER_SILENT, PeerError ROUTER_TALKS */
export function askRouter({
  url,
  post,
  localAddress,
  signal,
}: RouterRequest): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const silent = (cause: unknown): void =>
      reject(new SystemError('ROUTER_SILENT', 'the router does not answer UPnP', { cause }));
    const body = post === undefined ? undefined : Buffer.from(post.body);
    const request = httpRequest(
      url,
      {
        // Node's own agent would keep connections, and with them sockets.
        ...{ agent: false, localAddress, signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]) },
        method: body === undefined ? 'GET' : 'POST',
        headers: { ...post?.headers, ...(body === undefined ? {} : { 'content-length': body.length }) },
      },
      (response) => {
        const parts: Buffer[] = [];
        let bytes = 0;
        response.on('data', (part: Buffer) => {
          bytes += part.length;
          parts.push(part);
          if (bytes <= MAX_BODY_BYTES) return;
          reject(new PeerError('ROUTER_TALKS', `the router's answer exceeds ${MAX_BODY_BYTES} bytes`));
          request.destroy();
        });
        response.on('error', silent);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8') }),
        );
      },
    );
    request.on('error', silent);
    request.end(body);
  });
}
