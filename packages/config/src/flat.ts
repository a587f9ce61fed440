import type { LogLevel } from '@kith/base';
import { formatHostPort, isHost, parseHostPort } from './address.ts';
import { FLAT_KEYS, type FlatConfig, flatConfig, IGNORED_FLAT_KEYS } from './flat-schema.ts';
import { check } from './issues.ts';
import { ConfigProblems, type Problem } from './problem.ts';
import { NATIVE_GROUPS, type NativeConfig } from './schema.ts';

/** IPOP's default, ipoplib.CONFIG. */
const DEFAULT_IP4 = '172.16.0.1';
const DEFAULT_MASK = 24;
/** RFC 6120 §14.7: the only port that IPOP knew. */
const XMPP_PORT = 5222;

/** Tincan's set_logging: 0 none, 1 error, 2 info, 3 verbose. Errors are never hushed here. */
const TINCAN_LEVELS: readonly LogLevel[] = ['error', 'error', 'info', 'debug'];
const PYTHON_LEVELS: Record<string, LogLevel> = {
  CRITICAL: 'error',
  ERROR: 'error',
  WARNING: 'warn',
  WARN: 'warn',
  INFO: 'info',
  DEBUG: 'debug',
  PKTDUMP: 'trace',
  NOTSET: 'trace',
};

/** Whether this looks like the flat form of IPOP 15.01: one of its keys at the top, and none of the native groups. */
export function isFlat(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const keys = Object.keys(value);
  return keys.some((key) => FLAT_KEYS.has(key)) && !keys.some((key) => NATIVE_GROUPS.includes(key));
}

/**
 * Makes the native form of an IPOP 15.01 flat config. `notices` are sentences for its owner: what is taken otherwise than IPOP did.
 * Throws ConfigProblems CONFIG_INVALID; `file` is named in its message.
 */
export function convertFlat(flat: unknown, file = 'the config'): { native: NativeConfig; notices: string[] } {
  const checked = check(flatConfig, flat);
  if (!checked.ok) throw new ConfigProblems('CONFIG_INVALID', file, checked.problems);
  const { value } = checked;
  const problems: Problem[] = [];
  const notices: string[] = [];
  const native: NativeConfig = {
    xmpp: xmppOf(value, problems),
    network: networkOf(value),
    security: securityOf(value, notices),
  };
  if (value.ip4 === undefined) {
    notices.push(`ip4 is left out: IPOP's default ${DEFAULT_IP4} is used; no two nodes may have the same`);
  }
  const ice = iceOf(value);
  if (ice !== undefined) native.ice = ice;
  if (value.svpn_port !== undefined) native.api = { port: value.svpn_port };
  const log = logOf(value);
  if (log !== undefined) native.log = log;
  if (problems.length > 0) throw new ConfigProblems('CONFIG_INVALID', file, problems);
  notices.push(...modeNotices(value), ...ignoredNotices(value));
  return { native, notices };
}

function xmppOf(flat: FlatConfig, problems: Problem[]): NativeConfig['xmpp'] {
  const { xmpp_username, xmpp_password, xmpp_host } = flat;
  let host: string | undefined;
  let server: string | undefined;
  if (xmpp_host !== undefined) {
    // IPOP passed this on as a host, so an IPv6 address stands here without brackets.
    const bracketed = xmpp_host.includes(':') && isHost(xmpp_host) ? `[${xmpp_host}]` : xmpp_host;
    const parsed = parseHostPort(bracketed, XMPP_PORT);
    if (parsed === undefined) {
      problems.push({ path: 'xmpp_host', message: 'is not a host name or address' });
    } else {
      host = parsed.host;
      server = `xmpp://${formatHostPort(parsed)}`;
    }
  }
  let jid = xmpp_username;
  if (!jid.includes('@')) {
    if (host === undefined) {
      const message =
        'has no @, so xmpp_host must name its domain; expected a bare JID, like "alice@example.org"';
      problems.push({ path: 'xmpp_username', message });
    } else jid = `${jid}@${host}`;
  }
  return { jid, password: xmpp_password, ...(server === undefined ? {} : { server }) };
}

function networkOf(flat: FlatConfig): NativeConfig['network'] {
  const links = {
    ...(isSet(flat['on-demand_connection']) ? { when: 'on-demand' as const } : {}),
    ...(flat['on-demand_inactive_timeout'] === undefined
      ? {}
      : { idle_s: flat['on-demand_inactive_timeout'] }),
  };
  return {
    ip4: `${flat.ip4 ?? DEFAULT_IP4}/${flat.ip4_mask ?? DEFAULT_MASK}`,
    layer: isSet(flat.switchmode) ? 2 : 3,
    ...(Object.keys(links).length === 0 ? {} : { links }),
  };
}

function isSet(flag: boolean | 0 | 1 | undefined): boolean {
  return flag === true || flag === 1;
}

function securityOf(flat: FlatConfig, notices: string[]): NonNullable<NativeConfig['security']> {
  const insecure = flat.sec === false || flat.sec === 0;
  const groups = [...new Set((flat.group ?? '').split(',').map((name) => name.trim()))].filter(
    (name) => name !== '',
  );
  if (groups.length > 0) {
    if (!insecure) {
      notices.push(
        'group is set, so it decides, not sec: links to members without a common security group are not encrypted; set security.mode to "always" to encrypt every link',
      );
    }
    return { mode: 'groups', groups };
  }
  if (insecure) notices.push('sec is false: links are encrypted only when the other end insists');
  return { mode: insecure ? 'never' : 'always' };
}

function iceOf(flat: FlatConfig): NativeConfig['ice'] {
  if (flat.stun === undefined && flat.turn === undefined) return undefined;
  const stun = typeof flat.stun === 'string' ? [flat.stun] : flat.stun;
  const turn = flat.turn?.map(({ server, user, pass }) => ({ server, username: user, password: pass }));
  return { ...(stun === undefined ? {} : { stun }), ...(turn === undefined ? {} : { turn }) };
}

function logOf(flat: FlatConfig): NativeConfig['log'] {
  const tincan = flat.tincan_logging === undefined ? undefined : TINCAN_LEVELS[flat.tincan_logging];
  const controller =
    flat.controller_logging === undefined ? undefined : PYTHON_LEVELS[flat.controller_logging];
  if (tincan === undefined && controller === undefined) return undefined;
  return {
    ...(controller === undefined ? {} : { controller_level: controller }),
    ...(tincan === undefined ? {} : { tincan_level: tincan }),
  };
}

function modeNotices(flat: FlatConfig): string[] {
  return isSet(flat.stat_report)
    ? ['stat_report is true: nothing is reported all the same; Kith never reports to anyone']
    : [];
}

function ignoredNotices(flat: FlatConfig): string[] {
  return Object.keys(flat).flatMap((key) => {
    const why = IGNORED_FLAT_KEYS.get(key);
    return why === undefined ? [] : [`${key} has no meaning here: ${why}`];
  });
}
