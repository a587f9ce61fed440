import { ConfigError, LOG_LEVELS } from '@kith/base';
import { z } from 'zod';
import { parseJson } from './json-text.ts';

const owner = z.strictObject({ uid: z.int().nonnegative(), gid: z.int().nonnegative() });
const logLevel = z.enum(LOG_LEVELS);
const ip4Prefix = z.strictObject({ address: z.string(), prefix_length: z.int() });
const portRange = z.tuple([z.int(), z.int()]);

/** The direct carrier's switches. */
const direct = z.strictObject({
  enabled: z.boolean(),
  /** UDP port; left out: any free one. */
  port: z.int().exactOptional(),
  gso: z.boolean(),
  gro: z.boolean(),
});
/** The same with what is none of tincan's business: it talks to no router. */
const directConfig = direct.extend({ port_mapping: z.enum(['auto', 'off']) });
/** The TAP device's switches. */
const tap = z.strictObject({
  tso: z.boolean(),
  uso: z.boolean(),
  workers: z.union([z.literal(1), z.literal(2)]),
  queues: z.literal(1),
});

/** A config with every default filled in: no key that has a value is missing, paths are absolute, the password is the secret itself. */
export const kithConfig = z.strictObject({
  name: z.string(),
  /** Absolute path of the file that all this came from. */
  file: z.string(),
  xmpp: z.strictObject({
    /** Bare JID, lower case. */
    jid: z.string(),
    password: z.string(),
    /** Normalised: lower-case scheme, port named. */
    server: z.string(),
    ca_file: z.string().exactOptional(),
    /** What stands in `ca_file` (PEM), read with the rights of `kith up`; the controller may not have them. */
    ca: z.string().exactOptional(),
  }),
  network: z.strictObject({
    kind: z.enum(['group', 'social']),
    group: z.string().exactOptional(),
    /** null: `auto`. */
    ip4: ip4Prefix.nullable(),
    /** The network that addresses are taken from; a static `ip4` lies in it and has its prefix length. */
    subnet: ip4Prefix,
    ip6: z.literal('auto'),
    /** Fixed addresses of friends by bare JID in lower case. */
    friends: z.record(z.string(), z.string()),
    layer: z.union([z.literal(2), z.literal(3)]),
    links: z.strictObject({ when: z.enum(['proactive', 'on-demand']), idle_s: z.int(), max: z.int() }),
    interface: z.string(),
    mtu: z.int(),
  }),
  security: z.strictObject({
    mode: z.enum(['always', 'groups', 'never']),
    groups: z.array(z.string()),
    without_common_group: z.enum(['plain', 'refuse']),
    trust: z.enum(['first-use', 'strict']),
  }),
  ice: z.strictObject({
    /** Each `host:port`, IPv6 addresses in brackets. */
    stun: z.array(z.string()),
    turn: z.array(
      z.strictObject({
        server: z.string(),
        transport: z.enum(['udp', 'tcp', 'tls']),
        username: z.string(),
        password: z.string(),
      }),
    ),
    from_hub: z.boolean(),
    port_range: portRange.exactOptional(),
  }),
  direct: directConfig,
  tap,
  api: z.strictObject({ port: z.int(), auth: z.enum(['secret', 'none']) }),
  process: z.strictObject({
    user: z.string(),
    uid: z.int(),
    gid: z.int(),
    state_dir: z.string(),
    runtime_dir: z.string(),
  }),
  log: z.strictObject({ level: logLevel, controller_level: logLevel, tincan_level: logLevel }),
});
export type KithConfig = z.output<typeof kithConfig>;

/** Numeric user and group. */
export type Owner = z.output<typeof owner>;

/** What tincan reads from its standard input: one JSON document up to the end of input. */
export const tincanStartSchema = z.strictObject({
  network: z.string(),
  interface: z.string(),
  mtu: z.int(),
  /** 0: any free one. */
  api_port: z.int(),
  /** Left out: `secret`. `none` lets every process of this machine call. */
  api_auth: z.enum(['secret', 'none']).exactOptional(),
  state_dir: z.string(),
  runtime_dir: z.string(),
  /** Who may read the API's secret: the controller's user. */
  secret_owner: owner,
  log_level: logLevel,
  port_range: portRange.exactOptional(),
  /** Authority, in PEM, that may vouch for TURN servers over TLS besides those that the system's Node.js knows. */
  relay_ca: z.string().exactOptional(),
  /** Left out: everything on, on any free port. */
  direct: direct.exactOptional(),
  tap: tap.exactOptional(),
});
export type TincanStart = z.output<typeof tincanStartSchema>;

/** What tincan tells who started it, over Node's IPC channel where there is one, once it serves its API. */
export const tincanListening = z.object({ kind: z.literal('listening'), port: z.int() });
export type TincanListening = z.output<typeof tincanListening>;

/** What the controller reads from its standard input. */
export const controllerStartSchema = z.strictObject({
  network: z.string(),
  run_as: owner,
  runtime_dir: z.string(),
  state_dir: z.string(),
  api_port: z.int(),
  config: kithConfig,
  log_level: logLevel,
});
export type ControllerStart = z.output<typeof controllerStartSchema>;

/** What the XMPP gateway of `kith tincan` reads from its standard input. */
export const gatewayStartSchema = z.strictObject({
  run_as: owner,
  /** Where callers find the API. */
  api_port: z.int(),
  api_auth: z.enum(['secret', 'none']),
  /** tincan's own port, on 127.0.0.1. */
  tincan_port: z.int(),
  /** The API's secret, 64 hex digits. */
  secret: z.string(),
  /** Authorities, in PEM, that may vouch for the XMPP server, in place of those that Node.js knows. */
  xmpp_ca: z.string().exactOptional(),
  log_level: logLevel,
});
export type GatewayStart = z.output<typeof gatewayStartSchema>;

/** tincan's start document: nothing of XMPP in it (WALL 2). */
export function tincanStart(config: KithConfig, owner: Owner): TincanStart {
  const { port_mapping: _, ...directSwitches } = config.direct;
  return {
    network: config.name,
    interface: config.network.interface,
    mtu: config.network.mtu,
    api_port: config.api.port,
    api_auth: config.api.auth,
    state_dir: config.process.state_dir,
    runtime_dir: config.process.runtime_dir,
    secret_owner: owner,
    log_level: config.log.tincan_level,
    direct: directSwitches,
    tap: config.tap,
    ...(config.xmpp.ca === undefined ? {} : { relay_ca: config.xmpp.ca }),
    ...(config.ice.port_range === undefined ? {} : { port_range: config.ice.port_range }),
  };
}

/** The controller's start document; `owner` is the user that it becomes. */
export function controllerStart(config: KithConfig, owner: Owner): ControllerStart {
  return {
    network: config.name,
    run_as: owner,
    runtime_dir: config.process.runtime_dir,
    state_dir: config.process.state_dir,
    api_port: config.api.port,
    config,
    log_level: config.log.controller_level,
  };
}

/** Reads tincan's start document. Throws ConfigError START_DOCUMENT or CONFIG_SYNTAX. */
export function parseTincanStart(text: string): TincanStart {
  return read(tincanStartSchema, text);
}

/** Reads the controller's start document. Throws ConfigError START_DOCUMENT or CONFIG_SYNTAX. */
export function parseControllerStart(text: string): ControllerStart {
  return read(controllerStartSchema, text);
}

/** Reads the gateway's start document. Throws ConfigError START_DOCUMENT or CONFIG_SYNTAX. */
export function parseGatewayStart(text: string): GatewayStart {
  return read(gatewayStartSchema, text);
}

function read<T>(schema: z.ZodType<T>, text: string): T {
  const result = schema.safeParse(parseJson(text, 'start document'));
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue?.path.join('.') ?? '';
  throw new ConfigError('START_DOCUMENT', `start document: ${field}: ${issue?.message ?? 'is invalid'}`, {
    field,
  });
}
