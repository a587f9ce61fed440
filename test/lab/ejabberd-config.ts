/** What differs between two private ejabberds. Addresses are the hub host's, as its clients reach it. */
export interface EjabberdConfig {
  domain: string;
  /** Directory with `server.pem` (certificates and key) and `ca.pem`. */
  confDir: string;
  /** Path of the Unix socket for mod_http_api. */
  apiSocket: string;
  ip4: string;
  /** Set: STUN and TURN are served by IPv6 as well. */
  ip6?: string;
  /** What clients are told as the host of STUN and TURN. */
  announced: string;
  /** STUN and TURN services that clients are told of besides, since a router in front leads to them. */
  alsoAnnounced?: readonly StunService[];
  turnSecret: string;
  /** How long the credentials for TURN are good, in ejabberd's words: `12h`, `15s`. */
  turnCredentials: string;
  shaper: Shaper;
}

export interface StunService {
  host: string;
  port: number;
  type: 'stun' | 'turn' | 'turns';
  transport: 'udp' | 'tcp';
}

/**
 * `raised`: 200 kB/s, what the README asks of an operator. `debian`: 3 kB/s after 20 kB, what Debian's package ships and
 * what many real servers therefore have.
 */
export type Shaper = 'raised' | 'debian';

/** The ports of the private ejabberd: the registered ones, since its namespace is its own. */
export const HUB_PORTS = {
  starttls: 5222,
  tls: 5223,
  websocket: 5443,
  stun: 3478,
  otherStun: 3479,
  turns: 5349,
} as const;

// The relay's ports, away from the ephemeral range of Linux (32768..60999) where it would meet sockets of other programs.
const TURN_MIN_PORT = 61000;
/** As the README has it; ejabberd's own is ten. */
const TURN_QUOTA = 1_000;
const TURN_MAX_PORT = 61999;

const SHAPERS = {
  raised: { rate: 200_000, burst: 2_000_000 },
  debian: { rate: 3000, burst: 20_000 },
} as const;

/** `ejabberd.yml`. In YAML's block style: ejabberd 23.01's parser refuses flow style such as `[127.0.0.0/8]`. */
export function ejabberdYaml(config: EjabberdConfig): string {
  const shaper = SHAPERS[config.shaper];
  const addresses = config.ip6 === undefined ? [config.ip4] : [config.ip4, config.ip6];
  const relayed6 = config.ip6 === undefined ? '' : `    turn_ipv6_address: "${config.ip6}"\n`;
  const listener = (ip: string, transport: string, port: number, tls: boolean): string => `  -
    port: ${port}
    ip: "${ip}"
    transport: ${transport}
${tls ? '    tls: true\n' : ''}    module: ejabberd_stun
    use_turn: true
    turn_ipv4_address: "${config.ip4}"
${relayed6}    turn_min_port: ${TURN_MIN_PORT}
    turn_max_port: ${TURN_MAX_PORT}
    turn_max_allocations: ${TURN_QUOTA}
    turn_max_permissions: ${TURN_QUOTA}
`;
  const stun = (transport: string, port: number, tls: boolean): string =>
    addresses.map((ip) => listener(ip, transport, port, tls)).join('');
  const service = ({ host, port, type, transport }: StunService): string => `      -
        host: "${host}"
        port: ${port}
        type: ${type}
        transport: ${transport}
        restricted: ${type !== 'stun'}
`;
  const host = config.announced;
  const services: readonly StunService[] = [
    { host, port: HUB_PORTS.stun, type: 'stun', transport: 'udp' },
    { host, port: HUB_PORTS.stun, type: 'turn', transport: 'udp' },
    { host, port: HUB_PORTS.stun, type: 'turn', transport: 'tcp' },
    { host, port: HUB_PORTS.turns, type: 'turns', transport: 'tcp' },
    ...(config.alsoAnnounced ?? []),
  ];
  // The API listens last: when it answers, all others do.
  return `loglevel: info
log_rotate_count: 0
hosts:
  - ${config.domain}
certfiles:
  - ${config.confDir}/server.pem
ca_file: ${config.confDir}/ca.pem

define_macro:
  'TLS_OPTIONS':
    - "no_sslv3"
    - "no_tlsv1"
    - "no_tlsv1_1"
    - "cipher_server_preference"
    - "no_compression"

auth_method: internal
auth_password_format: scram
auth_scram_hash: sha
disable_sasl_mechanisms:
  - "digest-md5"
  - "X-OAUTH2"
resource_conflict: closeold

listen:
  -
    port: ${HUB_PORTS.starttls}
    ip: "::"
    module: ejabberd_c2s
    max_stanza_size: 262144
    shaper: c2s_shaper
    access: c2s
    starttls_required: true
    protocol_options: 'TLS_OPTIONS'
  -
    port: ${HUB_PORTS.tls}
    ip: "::"
    module: ejabberd_c2s
    max_stanza_size: 262144
    shaper: c2s_shaper
    access: c2s
    tls: true
    protocol_options: 'TLS_OPTIONS'
  -
    port: ${HUB_PORTS.websocket}
    ip: "::"
    module: ejabberd_http
    tls: true
    protocol_options: 'TLS_OPTIONS'
    request_handlers:
      /ws: ejabberd_http_ws
${stun('udp', HUB_PORTS.stun, false)}${stun('udp', HUB_PORTS.otherStun, false)}${stun('tcp', HUB_PORTS.stun, false)}${stun('tcp', HUB_PORTS.turns, true)}  -
    port: "unix:${config.apiSocket}"
    module: ejabberd_http
    request_handlers:
      /api: mod_http_api

acl:
  local:
    user_regexp: ""

access_rules:
  local:
    allow: local
  c2s:
    deny: blocked
    allow: all

api_permissions:
  "console commands":
    from:
      - ejabberd_ctl
    who: all
    what: "*"
  # The API is reached by its Unix socket alone, in a directory that only root and ejabberd may enter.
  "socket":
    from:
      - mod_http_api
    who: all
    what:
      - "*"
      - "!stop"
      - "!start"

shaper:
  signalling:
    rate: ${shaper.rate}
    burst_size: ${shaper.burst}

shaper_rules:
  max_user_sessions: 20
  c2s_shaper:
    signalling: all

modules:
  mod_admin_extra: {}
  mod_blocking: {}
  mod_caps: {}
  mod_disco: {}
  mod_http_api: {}
  mod_privacy: {}
  mod_ping:
    send_pings: true
    ping_interval: 60
    ping_ack_timeout: 20
    timeout_action: kill
  mod_roster:
    versioning: true
  mod_shared_roster: {}
  mod_stream_mgmt:
    resend_on_timeout: false
    resume_timeout: 60
    ack_timeout: 30
  mod_stun_disco:
    credentials_lifetime: ${config.turnCredentials}
    secret: "${config.turnSecret}"
    # Left to itself ejabberd announces the listeners' own addresses, which behind NAT or "::" nobody can reach.
    offer_local_services: false
    services:
${services.map(service).join('')}`;
}
