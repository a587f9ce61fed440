import type { IceServer } from '@kith/protocol';
import { type StreamServer, serverText } from './stream-connection.ts';

/** TURN servers that one link asks by UDP: those that answered first, and one relayed address is enough. */
const MAX_TURN_SERVERS = 2;

/** Streams that one relay may try: a hub names two or three. */
const MAX_RACERS = 6;

export interface StreamGroup {
  /** Servers that take the same credentials, so that a client need not know which of them it talks to. */
  servers: StreamServer[];
  username: string;
  password: string;
}

export interface IcePlan {
  /** TURN servers that are asked by UDP. */
  udp: IceServer[];
  stream: StreamGroup | undefined;
}

/**
 * Which TURN servers one link uses: by UDP the first two, and by TCP or TLS all that share credentials with the best of them.
 * @param rank of a server by `serverText`, lower is better; servers of one rank stay in their order
 */
export function planIce(servers: readonly IceServer[], rank: (server: string) => number): IcePlan {
  const turn = servers.filter(({ type }) => type === 'turn');
  const udp = turn.filter(({ transport }) => transport === undefined || transport === 'udp');
  const streams = turn.flatMap(({ transport, host, port, username = '', password = '' }) =>
    transport === 'tcp' || transport === 'tls' ? [{ transport, host, port, username, password }] : [],
  );
  const ranked = streams
    .map((server) => ({ server, rank: rank(serverText(server)) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ server }) => server);
  const best = ranked[0];
  if (best === undefined) return { udp: udp.slice(0, MAX_TURN_SERVERS), stream: undefined };
  const { username, password } = best;
  const group = ranked.filter((other) => other.username === username && other.password === password);
  return {
    udp: udp.slice(0, MAX_TURN_SERVERS),
    stream: {
      servers: group
        .slice(0, MAX_RACERS)
        .map(({ host, port, transport }): StreamServer => ({ host, port, transport })),
      username,
      password,
    },
  };
}
