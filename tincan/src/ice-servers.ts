import { isIP } from 'node:net';
import { ConfigError } from '@kith/base';
import type { ApiCall, IceServer, NetworkView } from '@kith/protocol';

type CreateLink = Extract<ApiCall, { m: 'create_link' }>['params'];

/** IPOP's single stun and turn fields, with ours behind them. */
export function iceServersOf(parameters: CreateLink): IceServer[] {
  const servers: IceServer[] = [];
  if (parameters.stun !== '') servers.push({ type: 'stun', ...hostAndPort(parameters.stun, 'stun') });
  if (parameters.turn !== '' && parameters.turn_user !== '') {
    servers.push({
      type: 'turn',
      ...hostAndPort(parameters.turn, 'turn'),
      username: parameters.turn_user,
      password: parameters.turn_pass,
    });
  }
  return [...servers, ...parameters.ice_servers];
}

/**
 * The servers that ICE should be given. libjuice asks one STUN server and at most two TURN servers, and looks at one address of each,
 * so that none may be wasted on a family in which nothing leaves this machine; IPv4 first, because behind its NATs a server is needed.
 * Where both are silent, or nobody knows yet, all stay.
 */
export function iceServersFor(servers: readonly IceServer[], network: NetworkView | undefined): IceServer[] {
  if (network === undefined) return [...servers];
  const works = (host: string): boolean => {
    const udp = host.includes(':') ? network.ip6 : network.ip4;
    return udp !== 'none' && udp !== 'silent';
  };
  const isUsable = ({ host, transport = 'udp' }: IceServer): boolean =>
    transport !== 'udp' || isIP(host) === 0 || works(host);
  const usable = servers.filter(isUsable);
  const left = usable.length > 0 ? usable : [...servers];
  return [...left.filter(({ host }) => isIP(host) !== 6), ...left.filter(({ host }) => isIP(host) === 6)];
}

function hostAndPort(text: string, field: string): { host: string; port: number } {
  const match = /^(.+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port < 1 || port > 65_535) {
    throw new ConfigError('API_FIELD', `${field}: must be host:port`, { field });
  }
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}
