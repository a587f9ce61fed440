import { isIPv6, type Socket } from 'node:net';
import { Timers } from '@kith/base';

/** RFC 8305 §5, Connection Attempt Delay: how long an attempt goes alone before the next address is tried beside it. */
export const ATTEMPT_DELAY_MS = 250;

/**
 * Connects to whichever of a host's addresses answers first (Happy Eyeballs, RFC 8305 §5). An attempt goes on while others begin, unlike Node's own
 * (`autoSelectFamily`), which gives one up after 250 ms: a hub that takes longer to answer, behind a slow line or after a lost SYN, could then not be reached
 * by a node without IPv6 when its name has an address of IPv6 too.
 * @param addresses at least one, in the order of preference; families take turns
 * @param connect begins to connect to one of them
 * @returns the socket that is connected; the others are destroyed, and all are when `signal` ends the try
 * @throws Error of the one address, AggregateError when there are several; the reason of `signal`
 */
export function connectAny(
  addresses: readonly string[],
  connect: (address: string) => Socket,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise<Socket>((resolve, reject) => {
    const waiting = inTurns(addresses);
    const trying = new Set<Socket>();
    const errors: Error[] = [];
    const timers = new Timers();
    const end = (): void => {
      timers.clearAll();
      signal.removeEventListener('abort', onAbort);
      for (const socket of trying) discard(socket);
      trying.clear();
    };
    const onAbort = (): void => {
      end();
      reject(signal.reason);
    };
    const next = (): void => {
      timers.clearAll();
      const address = waiting.shift();
      if (address === undefined) return;
      const socket = connect(address);
      trying.add(socket);
      const onError = (error: Error): void => {
        trying.delete(socket);
        discard(socket);
        errors.push(error);
        if (waiting.length > 0) next();
        else if (trying.size === 0) {
          end();
          reject(errors.length === 1 ? error : new AggregateError(errors, textOf(errors)));
        }
      };
      socket.once('error', onError);
      socket.once('connect', () => {
        socket.off('error', onError);
        trying.delete(socket);
        end();
        resolve(socket);
      });
      if (waiting.length > 0) timers.after('next attempt', ATTEMPT_DELAY_MS, next);
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort);
    next();
  });
}

/** IPv6 and IPv4 alternate, beginning with the first one's (RFC 8305 §4), so that a family that leads nowhere costs one attempt's delay. */
function inTurns(addresses: readonly string[]): string[] {
  const [first] = addresses;
  const isFirsts = (address: string): boolean => isIPv6(address) === (first !== undefined && isIPv6(first));
  const ours = addresses.filter(isFirsts);
  const others = addresses.filter((address) => !isFirsts(address));
  const longest = Math.max(ours.length, others.length);
  return Array.from({ length: longest }, (_, index) => [ours[index], others[index]])
    .flat()
    .filter((address) => address !== undefined);
}

/** A destroyed socket may still report an error, and an error that nobody listens to ends the process. */
function discard(socket: Socket): void {
  socket.on('error', () => {}).destroy();
}

function textOf(errors: readonly Error[]): string {
  return [...new Set(errors.map(({ message }) => message))].join('; ');
}
