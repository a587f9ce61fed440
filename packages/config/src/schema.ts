import { LOG_LEVELS } from '@kith/base';
import { z } from 'zod';
import {
  IP4_EXPECTED,
  parseHostPort,
  parseIp4,
  parsePlainIp4,
  parseServer,
  parseSubnet,
  SERVER_EXPECTED,
  SUBNET_EXPECTED,
} from './address.ts';

// In this file an error text is the phrase that follows "expected": `issues.ts` puts key and value before it.

/** IANA's port for STUN and TURN over UDP (RFC 8489 §18.6, RFC 8656 §17). */
export const STUN_PORT = 3478;
/** RFC 8656 §19: TURN over TLS. */
export const TURNS_PORT = 5349;
/** IFNAMSIZ of linux/if.h is 16 and counts the closing zero byte. */
export const MAX_INTERFACE_CHARS = 15;
export const NAME_PATTERN = /^[a-z0-9][a-z0-9-]{0,30}$/;

function text(expected: string, accepts: (value: string) => boolean): z.ZodString {
  return z.string({ error: expected }).refine(accepts, { error: expected });
}

function whole(min: number, max: number): z.ZodNumber {
  const error = `a whole number from ${min} to ${max}`;
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error });
}

function flag(): z.ZodBoolean {
  return z.boolean({ error: 'true or false' });
}

function choice<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, { error: `one of ${values.map((value) => JSON.stringify(value)).join(', ')}` });
}

function listOf<T extends z.ZodType>(item: T, max: number, items: string) {
  const error = `a list of at most ${max} ${items}`;
  return z.array(item, { error }).max(max, { error });
}

const filePath = () => text('a path, relative to the config file or absolute', isPath);
const hostPort = () =>
  text('"host:port", like "stun.example.org:3478" or "[2001:db8::1]:3478"', (value) => {
    return parseHostPort(value, STUN_PORT) !== undefined;
  });
const port = () => whole(1, 65_535);
const logLevel = () => choice(LOG_LEVELS);
const secret = () =>
  text('text of 1 to 1024 characters', (value) => value.length > 0 && value.length <= 1024);

function isPath(value: string): boolean {
  return value.length > 0 && value.length <= 4096 && !value.includes('\0');
}

/** A bare JID as RFC 7622 §3 has it, as far as a look at the characters goes; the hub checks the rest. */
export function isBareJid(value: string): boolean {
  return value.length <= 1023 && /^[^\s"&'/:<>@]+@[^\s"&'/:<>@]+$/.test(value);
}

const xmpp = z.strictObject(
  {
    jid: text('a bare JID, like "alice@example.org"', isBareJid).describe(
      "This node's XMPP account (bare JID). Members of the network see each other by these names.",
    ),
    password: secret()
      .exactOptional()
      .describe(
        "The account's password. Exactly one of `password`, `password_file`, `password_env` is needed. A config that holds it must have mode 0600.",
      ),
    password_file: filePath()
      .exactOptional()
      .describe('File whose first line is the password. It must have mode 0600.'),
    password_env: text('the name of an environment variable', (value) => /^[A-Za-z_]\w{0,127}$/.test(value))
      .exactOptional()
      .describe('Environment variable of `kith up` that holds the password.'),
    server: text(SERVER_EXPECTED, (value) => parseServer(value) !== undefined)
      .exactOptional()
      .meta({
        description:
          'The hub: `xmpps://host:port` (TLS from the first byte), `xmpp://host:port` (STARTTLS, enforced) or `wss://host/path` (WebSocket, where only port 443 is let out).',
        computed_default: '`xmpp://` and the domain of `jid`, port 5222',
      }),
    ca_file: filePath().exactOptional().meta({
      description: "PEM file of the authority that signed the hub's certificate.",
      computed_default: 'the authorities that Node.js trusts',
    }),
  },
  { error: 'an object with "jid" and a password' },
);

/** Friends whose address a person fixes by hand; a social network has at most as many members as tincan takes. */
const MAX_FRIENDS = 4_096;

const links = z.strictObject(
  {
    when: choice(['proactive', 'on-demand'])
      .default('proactive')
      .describe(
        'When a link is made: `proactive`: as soon as the member is there; `on-demand`: with the first packet to it, which waits for the link.',
      ),
    idle_s: whole(1, 86_400)
      .default(600)
      .describe('With `on-demand`: seconds without a packet after which a link is ended.'),
    max: whole(1, 4_000)
      .default(256)
      .describe('Links that this node may have at one time. Beyond it, the least used one makes room.'),
  },
  { error: 'an object' },
);

const network = z.strictObject(
  {
    kind: choice(['group', 'social'])
      .default('group')
      .describe(
        'Who is a member, and how addresses are seen: `group`: the contacts of a roster group, all in one address space (GroupVPN); `social`: all mutual contacts, each node with a view of its own (SocialVPN).',
      ),
    group: text(
      'the name of a roster group, 1 to 255 characters',
      (value) => value.length > 0 && value.length <= 255,
    )
      .exactOptional()
      .meta({
        description: 'Roster group whose contacts are members of this network.',
        computed_default: 'every contact with subscription `both`',
      }),
    ip4: text(
      `${IP4_EXPECTED}; or "auto"`,
      (value) => value === 'auto' || parseIp4(value) !== undefined,
    ).describe(
      "This node's address in the network, with its prefix length, like `172.31.0.1/24`; or `auto`: one in `subnet` is chosen and kept. In a network of kind `group` no two nodes may have the same.",
    ),
    subnet: text(SUBNET_EXPECTED, (value) => parseSubnet(value) !== undefined)
      .exactOptional()
      .meta({
        description:
          'The IPv4 network that addresses are taken from, like `172.31.0.0/16`. Needed when `ip4` is `auto`. In a social network: where this node sees its friends.',
        computed_default: 'the network that `ip4` lies in',
      }),
    ip6: choice(['auto'])
      .default('auto')
      .describe(
        'IPv6 address in the network. `auto`, the only choice there is: in a unique local prefix (RFC 4193) that all members compute from the network, with an end that follows from the UID.',
      ),
    friends: z
      .record(
        text('a bare JID, like "bob@example.org"', isBareJid),
        text('an IPv4 address, like "172.31.0.9"', (value) => parsePlainIp4(value) !== undefined),
        { error: 'an object of addresses by JID, like { "bob@example.org": "172.31.0.9" }' },
      )
      .refine((friends) => Object.keys(friends).length <= MAX_FRIENDS, {
        error: `an object of at most ${MAX_FRIENDS} addresses by JID`,
      })
      .default({})
      .describe(
        "With kind `social`: the address at which this node sees a friend's node, by the friend's JID. Others are chosen in `subnet` and kept.",
      ),
    layer: z
      .union([z.literal(2), z.literal(3)], { error: '2 or 3' })
      .exactOptional()
      .meta({
        description:
          '`2`: the network is one Ethernet switch, broadcasts included; `3`: IP packets between members only, nothing is flooded. All nodes of a network should have the same: between the two only IP packets pass.',
        computed_default: '`2`, or `3` where `kind` is `social`, the only choice there',
      }),
    links: links.prefault({}),
    interface: text(
      'the name of a network interface: 1 to 15 letters, digits, dots, dashes or underscores',
      (value) => /^[\w.-]{1,15}$/.test(value) && value !== '.' && value !== '..',
    )
      .exactOptional()
      .meta({
        description: 'Name of the TAP interface.',
        computed_default: '`kith-` and `name`, cut to 15 characters',
      }),
    mtu: whole(576, 9000)
      .default(1360)
      .describe(
        'MTU of the TAP interface, bytes. The default goes through every carrier without IP fragmentation. All nodes of a network should have the same.',
      ),
  },
  { error: 'an object with "ip4"' },
);

const security = z.strictObject(
  {
    mode: choice(['always', 'groups', 'never'])
      .default('always')
      .describe(
        'When links are encrypted: `always`; `groups`: when the two ends have a security group in common; `never`: only when the other end insists.',
      ),
    groups: listOf(
      text('text of 1 to 64 characters', (value) => value.length > 0 && value.length <= 64),
      64,
      'names',
    )
      .default([])
      .describe('Security groups of this node. Sent to the other end when a link is made.'),
    without_common_group: choice(['plain', 'refuse'])
      .default('plain')
      .describe('With mode `groups`: what becomes of a link whose ends have no group in common.'),
    trust: choice(['first-use', 'strict'])
      .default('first-use')
      .describe(
        "Which nodes of a member get a link: `first-use`: the member's first one, and those that `kith trust accept` took in; `strict`: only those whose code was compared (`kith trust verify`).",
      ),
  },
  { error: 'an object' },
);

const turnServer = z.strictObject(
  {
    server: hostPort().describe('`host:port` of the TURN server; port 3478 if left out, 5349 for `tls`.'),
    transport: choice(['udp', 'tcp', 'tls'])
      .default('udp')
      .describe('How the server is reached. TCP and TLS are used where UDP does not get through.'),
    username: secret().describe('TURN user.'),
    password: secret().describe('TURN password. A config that holds it must have mode 0600.'),
  },
  { error: 'an object with "server", "username" and "password"' },
);

const ice = z.strictObject(
  {
    stun: listOf(hostPort(), 16, 'servers, each "host:port"')
      .default([])
      .describe('STUN servers, each `host:port`, besides those that the hub names.'),
    turn: listOf(turnServer, 16, 'TURN servers')
      .default([])
      .describe('TURN servers, besides those that the hub names.'),
    from_hub: flag().default(true).describe('Ask the hub for its STUN and TURN services (XEP-0215).'),
    port_range: z
      .tuple([port(), port()], { error: 'two ports, [from, to]' })
      .refine(([from, to]) => from <= to, { error: 'two ports, the smaller first' })
      .exactOptional()
      .meta({
        description: 'UDP ports that links may use, `[from, to]`.',
        computed_default: 'any free port',
      }),
  },
  { error: 'an object' },
);

/** The native form of a config, as a person writes it. */
export const nativeConfig = z.strictObject(
  {
    $schema: z
      .string({ error: 'the address of a JSON Schema' })
      .exactOptional()
      .describe('Address of a JSON Schema, for editors. Not used.'),
    name: text('1 to 31 characters of a-z, 0-9 and dash, no dash first', (value) => NAME_PATTERN.test(value))
      .exactOptional()
      .meta({
        description: 'Name of the network on this machine.',
        computed_default: "the config file's name without `.json`, other characters made dashes",
      }),
    xmpp,
    network,
    security: security.prefault({}),
    ice: ice.prefault({}),
    direct: z
      .strictObject(
        {
          enabled: flag()
            .default(true)
            .describe(
              'Carry data over a UDP socket of our own where a path between the two nodes is found. `false`: the data channel carries everything.',
            ),
          port: port().exactOptional().meta({
            description: 'UDP port of that socket, for a firewall that lets one port in.',
            computed_default: 'any free port',
          }),
          port_mapping: choice(['auto', 'off'])
            .default('auto')
            .describe(
              'Ask the router to let datagrams for that socket in (PCP, NAT-PMP, UPnP), so that nodes behind difficult NATs find a path. `off`: no router is asked.',
            ),
          gso: flag()
            .default(true)
            .describe(
              'Send many datagrams by one system call (UDP_SEGMENT), where the kernel passes a test of it.',
            ),
          gro: flag()
            .default(true)
            .describe(
              'Receive many datagrams by one system call (UDP_GRO), where the kernel passes a test of it.',
            ),
        },
        { error: 'an object' },
      )
      .prefault({}),
    tap: z
      .strictObject(
        {
          tso: flag()
            .default(true)
            .describe(
              'Exchange TCP data with the kernel in pieces of up to 64 KiB (TSO), where the kernel passes a test of it.',
            ),
          uso: flag().default(true).describe('The same for UDP (USO), which Linux has from 6.2 on.'),
          workers: z
            .union([z.literal(1), z.literal(2)], { error: '1 or 2' })
            .default(1)
            .describe(
              'Threads that carry frames. `2` gives each direction its own, which lets a machine with many processors carry full streams both ways at once; `1` answers sooner.',
            ),
          queues: z
            .literal(1, { error: '1: one queue per TAP interface is all there is' })
            .default(1)
            .describe('Queues of the TAP interface. `1` is the only number there is.'),
        },
        { error: 'an object' },
      )
      .prefault({}),
    api: z
      .strictObject(
        {
          port: port()
            .default(5800)
            .describe(
              "UDP port of tincan's API on 127.0.0.1 and [::1]. Two networks on one machine need two.",
            ),
          auth: choice(['secret', 'none'])
            .default('secret')
            .describe(
              "Who may call tincan's API: `secret`: who proves to have read `api.secret` of the runtime directory; `none`: every process of this machine, in the forms of IPOP too.",
            ),
        },
        { error: 'an object' },
      )
      .prefault({}),
    process: z
      .strictObject(
        {
          user: text('the name of a user of this machine', (value) =>
            /^[A-Za-z0-9_][\w.-]{0,31}\$?$/.test(value),
          )
            .exactOptional()
            .meta({
              description: 'User that the controller runs as. Not root.',
              computed_default: "the config file's owner, or `nobody` when that is root",
            }),
          state_dir: filePath().exactOptional().meta({
            description: 'Directory of what must last: the key of this node, known fingerprints.',
            computed_default: '`/var/lib/kith/` and `name`',
          }),
          runtime_dir: filePath().exactOptional().meta({
            description: 'Directory of what lasts while the network runs: sockets, log.',
            computed_default: '`/run/kith/` and `name`',
          }),
        },
        { error: 'an object' },
      )
      .prefault({}),
    log: z
      .strictObject(
        {
          level: logLevel().default('info').describe('How much is logged.'),
          controller_level: logLevel()
            .exactOptional()
            .meta({ description: 'The same, for the controller alone.', computed_default: '`log.level`' }),
          tincan_level: logLevel()
            .exactOptional()
            .meta({ description: 'The same, for tincan alone.', computed_default: '`log.level`' }),
        },
        { error: 'an object' },
      )
      .prefault({}),
  },
  { error: 'an object, like { "xmpp": { … }, "network": { … } }' },
);

/** A native config as written: defaults may be left out. */
export type NativeConfig = z.input<typeof nativeConfig>;
/** A native config with the schema's defaults, before those that depend on the machine. */
export type CheckedConfig = z.output<typeof nativeConfig>;

/** Names of the groups of keys that only the native form has. */
export const NATIVE_GROUPS: readonly string[] = Object.keys(nativeConfig.shape).filter(
  (key) => key !== '$schema' && key !== 'name',
);
