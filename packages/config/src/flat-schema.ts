import { z } from 'zod';

// Keys and defaults of IPOP 15.01 (ipoplib.CONFIG, and `group` of the paper's Appendix A).

const flag = () => {
  const error = 'true or false (or 1 or 0)';
  return z.union([z.boolean(), z.literal(0), z.literal(1)], { error }).exactOptional();
};
const text = (expected: string) =>
  z.string({ error: expected }).min(1, { error: expected }).max(1024, { error: expected });
const whole = (min: number, max: number) => {
  const error = `a whole number from ${min} to ${max}`;
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error }).exactOptional();
};
const noMeaning = (why: string) => z.unknown().optional().meta({ description: why, ignored: why });

const PYTHON_LEVELS = ['CRITICAL', 'ERROR', 'WARNING', 'WARN', 'INFO', 'DEBUG', 'PKTDUMP', 'NOTSET'] as const;

const turnServer = z.strictObject(
  {
    server: text('"host:port"'),
    user: text('text'),
    pass: text('text'),
  },
  { error: 'an object with "server", "user" and "pass"' },
);

/** The flat form, as far as its own keys go; what the values mean is checked when the native form made of it is. */
export const flatConfig = z.strictObject({
  xmpp_username: text('a bare JID, like "alice@example.org", or a name at xmpp_host').describe(
    '`xmpp.jid`; a name without `@` is taken at `xmpp_host`',
  ),
  xmpp_password: text('the password of xmpp_username (Kith does not ask for it at the terminal)').describe(
    '`xmpp.password`',
  ),
  xmpp_host: text('the host name or address of the XMPP server')
    .exactOptional()
    .describe('`xmpp.server`: `xmpp://` and this, port 5222'),
  ip4: text('an IPv4 address, like "172.31.0.1"').exactOptional().describe('`network.ip4`, its address'),
  ip4_mask: whole(0, 32).describe('`network.ip4`, its prefix length; 24 when left out'),
  sec: flag().describe('without `group`: `security.mode` `always` (true, or left out) or `never` (false)'),
  group: z
    .string({ error: 'names of security groups, separated by commas' })
    .exactOptional()
    .describe('`security.groups` (separated by commas), and `security.mode` `groups`'),
  stun: z
    .union([z.array(z.string()), z.string()], { error: 'a list of "host:port"' })
    .exactOptional()
    .describe('`ice.stun`'),
  turn: z
    .array(turnServer, { error: 'a list of { "server", "user", "pass" }' })
    .exactOptional()
    .describe('`ice.turn`'),
  svpn_port: whole(1, 65_535).describe('`api.port`'),
  switchmode: flag().describe('`network.layer`: 2 (true), or 3 (false, or left out)'),
  'on-demand_connection': flag().describe('`network.links.when`: `on-demand` (true) or `proactive`'),
  'on-demand_inactive_timeout': whole(1, 86_400).describe('`network.links.idle_s`'),
  tincan_logging: whole(0, 3).describe('`log.tincan_level`: 0 and 1 `error`, 2 `info`, 3 `debug`'),
  controller_logging: z
    .enum(PYTHON_LEVELS, { error: `one of ${PYTHON_LEVELS.join(', ')}` })
    .exactOptional()
    .describe("`log.controller_level`, from Python's names"),
  stat_report: flag().describe('nothing; Kith never reports to anyone'),
  stat_server: noMeaning('Kith never reports to anyone'),
  stat_server_port: noMeaning('Kith never reports to anyone'),
  local_uid: noMeaning("a node's UID follows from its certificate"),
  uid_size: noMeaning("a node's UID follows from its certificate"),
  ip6_prefix: noMeaning('the IPv6 prefix follows from the network'),
  ip6_mask: noMeaning('the IPv6 prefix follows from the network'),
  subnet_mask: noMeaning('there is no router mode'),
  localhost: noMeaning('the API is on 127.0.0.1'),
  localhost6: noMeaning('the API is on 127.0.0.1'),
  contr_port: noMeaning('the controller takes any free port'),
  buf_size: noMeaning('buffers have fixed sizes'),
  wait_time: noMeaning('links are watched without polling'),
  icc: noMeaning('controllers do not talk over links'),
  icc_port: noMeaning('controllers do not talk over links'),
  trim_enabled: noMeaning('a relayed path is left by itself when a better one is found'),
  multihop: noMeaning('every pair of members has a link of its own'),
  multihop_cl: noMeaning('every pair of members has a link of its own'),
  multihop_ihc: noMeaning('every pair of members has a link of its own'),
  multihop_hl: noMeaning('every pair of members has a link of its own'),
  multihop_tl: noMeaning('every pair of members has a link of its own'),
  multihop_sr: noMeaning('every pair of members has a link of its own'),
  router_mode: noMeaning('there is no router mode'),
  router_ip: noMeaning('there is no router mode'),
  router_ip4_mask: noMeaning('there is no router mode'),
  router_ip6_mask: noMeaning('there is no router mode'),
  network_ignore_list: noMeaning('all interfaces but its own may carry links'),
  selective_security: noMeaning('security follows from groups, not from addresses'),
  tincan_path: noMeaning('`kith up` starts tincan'),
});
export type FlatConfig = z.output<typeof flatConfig>;

/** Keys that have no meaning here, with the reason. */
export const IGNORED_FLAT_KEYS: ReadonlyMap<string, string> = new Map(
  Object.entries(flatConfig.shape).flatMap(([key, schema]): [string, string][] => {
    const why = schema.meta()?.ignored;
    return typeof why === 'string' ? [[key, why]] : [];
  }),
);

export const FLAT_KEYS: ReadonlySet<string> = new Set(Object.keys(flatConfig.shape));
