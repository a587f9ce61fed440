import { ConfigError } from '@kith/base';
import type { ApiCall, IceServer } from '@kith/protocol';

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

function hostAndPort(text: string, field: string): { host: string; port: number } {
  const match = /^(.+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port < 1 || port > 65_535) {
    throw new ConfigError('API_FIELD', `${field}: must be host:port`, { field });
  }
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}
