/** What differs between two private ejabberds. Addresses are the hub host's, as its clients reach it. */
export interface EjabberdConfig {
  domain: string;
  /** Directory with `server.pem` (certificates and key) and `ca.pem`. */
  confDir: string;
  /** Path of the Unix socket for mod_http_api. */
  apiSocket: string;
  ip4: string;
  turnSecret: string;
  shaper: Shaper;
}

/**
 * `raised`: 200 kB/s, what the README asks of an operator. `debian`: 3 kB/s after 20 kB, what Debian's package ships and
 * what many real servers therefore have.
 */
export type Shaper = 'raised' | 'debian';

/** The ports of the private ejabberd: the registered ones, since its namespace is its own. */
export const HUB_PORTS = { starttls: 5222, tls: 5223, websocket: 5443, stun: 3478, turns: 5349 } as const;

// The relay's ports, away from the ephemeral range of Linux (32768..60999) where it would meet sockets of other programs.
const TURN_MIN_PORT = 61000;
const TURN_MAX_PORT = 61999;

const SHAPERS = {
  raised: { rate: 200_000, burst: 2_000_000 },
  debian: { rate: 3000, burst: 20_000 },
} as const;

/** `ejabberd.yml`. In YAML's block style: ejabberd 23.01's parser refuses flow style such as `[127.0.0.0/8]`. */
export function ejabberdYaml(config: EjabberdConfig): string {
  const shaper = SHAPERS[config.shaper];
  const stun = (transport: string, port: number, tls: boolean): string => `  -
    port: ${port}
    ip: "${config.ip4}"
    transport: ${transport}
${tls ? '    tls: true\n' : ''}    module: ejabberd_stun
    use_turn: true
    turn_ipv4_address: "${config.ip4}"
    turn_min_port: ${TURN_MIN_PORT}
    turn_max_port: ${TURN_MAX_PORT}
`;
  const service = (type: string, transport: string, port: number, restricted: boolean): string => `      -
        host: ${config.ip4}
        port: ${port}
        type: ${type}
        transport: ${transport}
        restricted: ${restricted}
`;
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
${stun('udp', HUB_PORTS.stun, false)}${stun('tcp', HUB_PORTS.stun, false)}${stun('tcp', HUB_PORTS.turns, true)}  -
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
  mod_caps: {}
  mod_disco: {}
  mod_http_api: {}
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
    credentials_lifetime: 12h
    secret: "${config.turnSecret}"
    # Left to itself ejabberd announces the listeners' own addresses, which behind NAT or "::" nobody can reach.
    offer_local_services: false
    services:
${service('stun', 'udp', HUB_PORTS.stun, false)}${service('turn', 'udp', HUB_PORTS.stun, true)}${service('turn', 'tcp', HUB_PORTS.stun, true)}${service('turns', 'tcp', HUB_PORTS.turns, true)}`;
}
