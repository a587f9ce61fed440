import { basename, dirname, resolve } from 'node:path';
import { ConfigError, describeError } from '@kith/base';
import { formatHostPort, parseHostPort, parseServer } from './address.ts';
import { hostOf, insideProblems, type NamedServer } from './outside-network.ts';
import type { Problem } from './problem.ts';
import { readTextFile } from './read-file.ts';
import { resolveAddresses } from './resolve-addresses.ts';
import { type CheckedConfig, MAX_INTERFACE_CHARS, STUN_PORT, TURNS_PORT } from './schema.ts';
import { readPassword } from './secrets.ts';
import type { KithConfig } from './start.ts';
import { findUser, type User } from './user.ts';

/** Where a config came from. */
export interface Source {
  /** Absolute path. */
  readonly file: string;
  /** Owner of the file. */
  readonly uid: number;
  readonly gid: number;
  readonly env: NodeJS.ProcessEnv;
}

/** sun_path of sockaddr_un (linux/un.h) has 108 bytes, the last of them zero. */
const MAX_SOCKET_PATH = 107;
/** A con_req has 20 000 characters, ASCII only; these leave room for the most candidates that there can be. */
const MAX_GROUPS_CHARS = 12_000;
const LONGEST_SOCKET = 'controller/status.sock';

/** Fills in all defaults that depend on the machine. Gives the whole config, or every reason why there is none. */
export function resolveConfig(checked: CheckedConfig, source: Source): KithConfig | Problem[] {
  const problems: Problem[] = [];
  const absolute = (path: string) => resolve(dirname(source.file), path);
  const name = checked.name ?? nameOf(source.file);
  const xmpp = resolveXmpp(checked.xmpp, source.env, absolute, problems);
  const user = resolveUser(checked.process.user, source, problems);
  const directories = directoriesOf(checked.process, name, source.file);
  const { runtime_dir } = directories;
  if (Buffer.byteLength(`${runtime_dir}/${LONGEST_SOCKET}`) > MAX_SOCKET_PATH) {
    const longest = MAX_SOCKET_PATH - LONGEST_SOCKET.length - 1;
    problems.push({
      path: 'process.runtime_dir',
      message: `${runtime_dir} is too long for the sockets in it; expected at most ${longest} bytes`,
    });
  }
  const addresses = resolveAddresses(checked.network, problems);
  const groups = resolveGroups(checked.security.groups, problems);
  if (addresses !== undefined)
    problems.push(...insideProblems(serversOf(checked, xmpp?.server), addresses.subnet));
  if (addresses === undefined || xmpp === undefined || user === undefined || problems.length > 0)
    return problems;
  const { group, kind, mtu, ip6, links } = checked.network;
  const { port_range } = checked.ice;
  return {
    name,
    file: source.file,
    xmpp,
    network: {
      kind,
      ...(group === undefined ? {} : { group }),
      ...addresses,
      ip6,
      layer: checked.network.layer ?? (kind === 'social' ? 3 : 2),
      links,
      interface: checked.network.interface ?? interfaceOf(name),
      mtu,
    },
    security: { ...checked.security, groups },
    ice: {
      stun: checked.ice.stun.map((server) => withPort(server, STUN_PORT)),
      turn: checked.ice.turn.map((turn) => ({
        ...turn,
        server: withPort(turn.server, turn.transport === 'tls' ? TURNS_PORT : STUN_PORT),
      })),
      from_hub: checked.ice.from_hub,
      ...(port_range === undefined ? {} : { port_range }),
    },
    direct: checked.direct,
    tap: checked.tap,
    api: checked.api,
    process: {
      user: user.name,
      uid: user.uid,
      gid: user.gid,
      ...directories,
    },
    log: {
      level: checked.log.level,
      controller_level: checked.log.controller_level ?? checked.log.level,
      tincan_level: checked.log.tincan_level ?? checked.log.level,
    },
  };
}

/** What the network stands on, as far as the config names it. */
function serversOf({ ice }: CheckedConfig, hub: string | undefined): NamedServer[] {
  return [
    ...(hub === undefined ? [] : [{ path: 'xmpp.server', host: hostOf(hub) }]),
    ...ice.stun.map((server, index) => ({ path: `ice.stun.${index}`, host: hostOf(server) })),
    ...ice.turn.map(({ server }, index) => ({
      path: `ice.turn.${index}.server`,
      host: hostOf(server),
    })),
  ];
}

/** A network's name made of its config file's: `My Net.json` gives `my-net`. */
export function nameOf(file: string): string {
  const fit = basename(file, '.json')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-/, '')
    .slice(0, 31)
    .replace(/-$/, '');
  return fit === '' ? 'kith' : fit;
}

/** The TAP interface's default name. */
export function interfaceOf(name: string): string {
  return `kith-${name}`.slice(0, MAX_INTERFACE_CHARS).replace(/-$/, '');
}

/** The absolute paths of a network's directories. */
export function directoriesOf(
  written: { state_dir?: string; runtime_dir?: string },
  name: string,
  file: string,
): { state_dir: string; runtime_dir: string } {
  const folder = dirname(file);
  return {
    state_dir: resolve(folder, written.state_dir ?? `/var/lib/kith/${name}`),
    runtime_dir: resolve(folder, written.runtime_dir ?? `/run/kith/${name}`),
  };
}

function withPort(server: string, port: number): string {
  const parsed = parseHostPort(server, port);
  return parsed === undefined ? server : formatHostPort(parsed);
}

/**
 * The security groups, each once. In Unicode's composed form: one name typed on two systems would otherwise be two (UAX #15).
 */
function resolveGroups(written: readonly string[], problems: Problem[]): string[] {
  const groups = [...new Set(written.map((name) => name.normalize('NFC')))];
  const sent = JSON.stringify(groups).replace(/[\u007f-\uffff]/g, '\\u0000').length;
  if (sent > MAX_GROUPS_CHARS) {
    problems.push({
      path: 'security.groups',
      message: `take ${sent} characters when they are sent; expected at most ${MAX_GROUPS_CHARS}, where a letter that is not ASCII takes 6`,
    });
  }
  return groups;
}

function resolveXmpp(
  xmpp: CheckedConfig['xmpp'],
  env: NodeJS.ProcessEnv,
  absolute: (path: string) => string,
  problems: Problem[],
): KithConfig['xmpp'] | undefined {
  // Nodeprep (RFC 6122 appendix A) folds case, so the roster holds names in lower case.
  const jid = xmpp.jid.toLowerCase();
  const domain = jid.slice(jid.indexOf('@') + 1);
  const server = parseServer(xmpp.server ?? `xmpp://${domain}`);
  if (server === undefined) {
    problems.push({ path: 'xmpp.server', message: `is needed, since ${domain} is not a host name` });
  }
  const { password_file } = xmpp;
  const password = collect(problems, () =>
    readPassword(
      { ...xmpp, ...(password_file === undefined ? {} : { password_file: absolute(password_file) }) },
      env,
    ),
  );
  const ca_file = xmpp.ca_file === undefined ? undefined : absolute(xmpp.ca_file);
  const ca = ca_file === undefined ? undefined : collect(problems, () => readAuthority(ca_file));
  if (password === undefined || server === undefined) return undefined;
  return {
    jid,
    password,
    server,
    ...(ca_file === undefined || ca === undefined ? {} : { ca_file, ca }),
  };
}

/** Runs `read`; what it gives or throws as a problem is added to `problems`. */
function collect(problems: Problem[], read: () => string | Problem): string | undefined {
  try {
    const result = read();
    if (typeof result === 'string') return result;
    problems.push(result);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push({ path: error.field ?? '(file)', message: describeError(error) });
  }
  return undefined;
}

function readAuthority(file: string): string | Problem {
  const { text } = readTextFile(file, 'xmpp.ca_file');
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  return { path: 'xmpp.ca_file', message: `${file} holds no certificate in PEM form` };
}

/** The user that the controller becomes. WALL 2: never root, so a config that belongs to root gets `nobody`. */
function resolveUser(wanted: string | undefined, source: Source, problems: Problem[]): User | undefined {
  const found = findUser(wanted ?? (source.uid === 0 ? 'nobody' : source.uid));
  const path = 'process.user';
  if (wanted === undefined) {
    // A file from a container or another machine may belong to a number that has no name here.
    if (found !== undefined) return found;
    if (source.uid !== 0) return { name: String(source.uid), uid: source.uid, gid: source.gid };
    problems.push({ path, message: 'is needed, since this machine has no user "nobody"' });
    return undefined;
  }
  if (found === undefined) {
    problems.push({ path, message: `is "${wanted}"; expected the name of a user of this machine` });
  } else if (found.uid === 0) {
    problems.push({ path, message: `is "${wanted}"; expected a user that is not root` });
    return undefined;
  }
  return found;
}
