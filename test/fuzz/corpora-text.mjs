// The corpora of what is JSON: signals, calls of the API, messages of the control channel.
/** @param {unknown} value */
const json = (value) => JSON.stringify(value);

const FPR = Array.from({ length: 32 }, (_, i) => i.toString(16).padStart(2, '0').toUpperCase()).join(':');
const UID = FPR.replaceAll(':', '').slice(0, 40).toLowerCase();
const PWD = '0123456789012345678901';
const CAS = `0:1:udp:203.0.113.9:5000:2130706431:abcd:${PWD}:local::0:1`;
const CAS6 = `0:1:udp:[2001:db8:113::9]:5000:2130706431:abcd:${PWD}:local::0:2`;
const TERMS = { mode: 'always', groups: ['friends'], without_common_group: 'plain' };

/** Candidates that must be refused, in signals and in calls alike. */
const BAD_CANDIDATES = {
  'no candidate at all': 'nonsense',
  'eleven fields': CAS.replace('::0:1', ':0:1'),
  'thirteen fields': `${CAS}:x`,
  'component 2': CAS.replace('0:1:udp', '0:2:udp'),
  'over tcp': CAS.replace(':udp:', ':tcp:'),
  'a name for an address': CAS.replace('203.0.113.9', 'evil.example'),
  'an mdns name': CAS.replace('203.0.113.9', '5b4e9c3e.local'),
  'an ipv4 address in hex': CAS.replace('203.0.113.9', '0x7f.1'),
  'an ipv4 address of two parts': CAS.replace('203.0.113.9', '127.1'),
  'an ipv6 address with a zone': CAS.replace('203.0.113.9', '[fe80::1%25eth0]'),
  'an ipv6 bracket left open': CAS.replace('203.0.113.9', '[fe80::1'),
  'port 0': CAS.replace(':5000:', ':0:'),
  'port 65536': CAS.replace(':5000:', ':65536:'),
  'a negative port': CAS.replace(':5000:', ':-1:'),
  'a port in hex': CAS.replace(':5000:', ':0x50:'),
  'a priority of eleven digits': CAS.replace(':2130706431:', ':99999999999:'),
  'a ufrag that injects an SDP line': CAS.replace('abcd', 'ab\r\na=setup:active'),
  'a foundation that injects an SDP line': CAS.replace('::0:1', '::0:1\r\na=candidate:x'),
  'a type that ICE lacks': CAS.replace(':local:', ':prflx:'),
  'two ICE sessions in one list': `${CAS} ${CAS.replace('abcd', 'efgh')}`,
  'more than 32 of them': Array.from({ length: 33 }, (_, i) => CAS.replace(':5000:', `:${5000 + i}:`)).join(
    ' ',
  ),
  'one of 800 characters': CAS.replace('abcd', 'a'.repeat(800)),
};

/** @param {Record<string, unknown>} change */
const signal = (change) =>
  json({ v: 1, uid: UID, fpr: FPR, attempt: 1, cas: CAS, security: TERMS, ...change });

export const signals = {
  good: {
    'as small as can be': json({
      v: 1,
      uid: UID,
      fpr: FPR,
      attempt: 1,
      cas: '',
      security: { mode: 'always', groups: [] },
    }),
    'one candidate': signal({}),
    'ipv4 and ipv6': signal({ cas: `${CAS} ${CAS6}` }),
    'the last attempt number': signal({ attempt: 2 ** 31 - 1 }),
    '64 groups of 64 characters': signal({
      security: { ...TERMS, groups: Array.from({ length: 64 }, (_, i) => `${i}`.padEnd(64, 'g')) },
    }),
    'groups with letters of many scripts': signal({
      security: { ...TERMS, groups: ['Freunde ✓', 'друзья', '👩‍👩‍👧'] },
    }),
    'a field of tomorrow': signal({ tomorrow: { a: 1 } }),
    'many spaces between candidates': signal({ cas: `  ${CAS}   ${CAS6} ` }),
    'the same candidate twice': signal({ cas: `${CAS} ${CAS}` }),
  },
  bad: {
    empty: '',
    nonsense: 'nonsense',
    'a number': '7',
    null: 'null',
    'a list': '[]',
    'an empty object': '{}',
    'cut in the middle': signal({}).slice(0, 200),
    'two documents': `${signal({})}${signal({})}`,
    'a byte order mark': `\ufeff${signal({})}`,
    'brackets 5000 deep': '['.repeat(5000),
    'longer than a signal may be': signal({ cas: ' '.repeat(20_000) }),
    'version 2': signal({ v: 2 }),
    'version as text': signal({ v: '1' }),
    'no uid': signal({ uid: undefined }),
    'uid in upper case': signal({ uid: UID.toUpperCase() }),
    'uid of 39 digits': signal({ uid: UID.slice(1) }),
    'uid with a line end': signal({ uid: `${UID}\n` }),
    'uid of another certificate': signal({ uid: 'ab'.repeat(20) }),
    'fingerprint in lower case': signal({ fpr: FPR.toLowerCase() }),
    'fingerprint of sha-1': signal({ fpr: FPR.slice(0, 59) }),
    'fingerprint that injects an SDP line': signal({ fpr: `${FPR}\r\na=setup:active` }),
    'attempt 0': signal({ attempt: 0 }),
    'attempt beyond the last': signal({ attempt: 2 ** 31 }),
    'attempt of a half': signal({ attempt: 1.5 }),
    'attempt infinite': signal({}).replace('"attempt":1', '"attempt":1e999'),
    'attempt as text': signal({ attempt: '1' }),
    'candidates as a list': signal({ cas: [CAS] }),
    'security missing': signal({ security: undefined }),
    'security of an unknown mode': signal({ security: { ...TERMS, mode: 'maybe' } }),
    '65 groups': signal({ security: { ...TERMS, groups: Array(65).fill('g') } }),
    'a group without a name': signal({ security: { ...TERMS, groups: [''] } }),
    'a group of 65 characters': signal({ security: { ...TERMS, groups: ['g'.repeat(65)] } }),
    'groups as an object': signal({ security: { ...TERMS, groups: { length: 3 } } }),
    'everything hangs on __proto__': `{"__proto__":${signal({})}}`,
    ...prefixed('candidates with ', BAD_CANDIDATES, (cas) => signal({ cas })),
  },
};

/** @param {Record<string, unknown>} change */
const create = (change) => json({ m: 'create_link', id: 1, uid: UID, fpr: FPR, cas: CAS, ...change });

export const calls = {
  good: {
    'set_cb_endpoint as IPOP sends it': json({ m: 'set_cb_endpoint', ip: '::', port: 5801 }),
    'set_local_ip as IPOP sends it': json({
      ...{
        m: 'set_local_ip',
        uid: UID,
        ip4: '172.31.0.1',
        ip4_mask: 24,
        ip6: 'fd50:dbc:41f2:4a3c::1',
        ip6_mask: 64,
      },
      ...{ subnet_mask: 32, switchmode: 1 },
    }),
    'create_link, first step': create({ fpr: '', cas: '' }),
    'create_link, second step': create({}),
    'create_link as IPOP sends it': json({
      ...{
        m: 'create_link',
        uid: UID,
        fpr: FPR,
        overlay_id: 1,
        stun: 'stun.example:3478',
        turn: '',
        turn_user: '',
      },
      ...{ turn_pass: '', sec: 1, cas: '' },
    }),
    'create_link with servers and terms': create({
      ice_servers: [{ type: 'turn', host: 'hub', port: 3478, username: 'u', password: 'p' }],
      security: { mine: TERMS, theirs: TERMS },
      attempt: 9,
    }),
    trim_link: json({ m: 'trim_link', id: 'x', uid: UID }),
    'set_remote_ip with the mark of switch mode': json({ m: 'set_remote_ip', uid: UID, ip4: '127.0.0.1' }),
    'get_state of all': json({ m: 'get_state' }),
    'get_state of one with stats': json({ m: 'get_state', id: 1, uid: UID, stats: true }),
    set_logging: json({ m: 'set_logging', logging: 2 }),
    set_switchmode: json({ m: 'set_switchmode', switchmode: 1 }),
    'echo_request with letters of many scripts': json({ m: 'echo_request', id: 'ü', msg: '✓ 👩‍👩‍👧' }),
    echo_reply: json({ m: 'echo_reply' }),
    'unknown fields': json({ m: 'get_state', interface: 'x', nested: { a: [1] } }),
    'id 0': json({ m: 'get_state', id: 0 }),
    'id negative and broken': json({ m: 'get_state', id: -1.5 }),
    'id of 128 characters': json({ m: 'get_state', id: 'i'.repeat(128) }),
    'a field __proto__': '{"m":"get_state","__proto__":{"uid":"x"}}',
  },
  bad: {
    empty: '',
    nonsense: 'nonsense',
    'bytes that are no UTF-8': Uint8Array.from(Buffer.from('7b226d223a22ff227d', 'hex')),
    'a byte order mark inside': '{"m":\ufeff"get_state"}',
    null: 'null',
    true: 'true',
    'a number': '1e400',
    'a list': '[{"m":"get_state"}]',
    'an empty object': '{}',
    'cut in the middle': create({}).slice(0, 60),
    'brackets 5000 deep': '['.repeat(5000),
    'm missing': '{"id":1}',
    'm a number': '{"m":7,"id":1}',
    'm unknown': '{"m":"no_such","id":1}',
    'm of 10000 characters': json({ m: 'm'.repeat(10_000), id: 1 }),
    'm is __proto__': '{"m":"__proto__","id":1}',
    'm is constructor': '{"m":"constructor","id":1}',
    'm is toString': '{"m":"toString","id":1}',
    'id an object': '{"m":"get_state","id":{}}',
    'id null': '{"m":"get_state","id":null}',
    'id infinite': '{"m":"get_state","id":1e999}',
    'id of 129 characters': json({ m: 'get_state', id: 'i'.repeat(129) }),
    'set_cb_endpoint without a port': json({ m: 'set_cb_endpoint', id: 1, ip: '127.0.0.1' }),
    'set_cb_endpoint with port 65536': json({ m: 'set_cb_endpoint', id: 1, ip: '127.0.0.1', port: 65_536 }),
    'set_cb_endpoint with an ip of 300 characters': json({
      m: 'set_cb_endpoint',
      id: 1,
      ip: '1'.repeat(300),
      port: 1,
    }),
    'set_local_ip with a name': json({ m: 'set_local_ip', id: 1, ip4: 'localhost' }),
    'set_local_ip with mask 33': json({ m: 'set_local_ip', id: 1, ip4: '172.31.0.1', ip4_mask: 33 }),
    'create_link without a uid': json({ m: 'create_link', id: 1 }),
    'create_link with a uid in upper case': create({ uid: UID.toUpperCase() }),
    'create_link with a short fingerprint': create({ fpr: 'AA:BB' }),
    'create_link with sec 2': create({ sec: 2 }),
    'create_link with attempt 0': create({ attempt: 0 }),
    'create_link with overlay 2': create({ overlay_id: 2 }),
    'create_link with 9 servers': create({
      ice_servers: Array(9).fill({ type: 'stun', host: 'h', port: 1 }),
    }),
    'create_link with a server of no type': create({ ice_servers: [{ host: 'h', port: 1 }] }),
    'create_link with half of the terms': create({ security: { mine: TERMS } }),
    'create_link with a stun server of 301 characters': create({ stun: 's'.repeat(301) }),
    'trim_link with a reason of 201 characters': json({
      m: 'trim_link',
      id: 1,
      uid: UID,
      reason: 'r'.repeat(201),
    }),
    'get_state with stats 2': json({ m: 'get_state', id: 1, stats: 2 }),
    'set_logging 4': json({ m: 'set_logging', id: 1, logging: 4 }),
    'set_logging as text': json({ m: 'set_logging', id: 1, logging: '1' }),
    'set_switchmode as text': json({ m: 'set_switchmode', id: 1, switchmode: 'on' }),
    'echo_request of 4097 characters': json({ m: 'echo_request', id: 1, msg: 'm'.repeat(4097) }),
    ...prefixed('create_link with ', BAD_CANDIDATES, (cas) => create({ cas })),
  },
};

const HELLO = {
  ...{ t: 'hello', v: 1, uid: UID, attempt: 1, ip4: '172.31.0.2', ip6: null, security: TERMS, heard: TERMS },
  features: [],
};
/** @param {Record<string, unknown>} change */
const hello = (change) => json({ ...HELLO, ...change });

export const controls = {
  good: {
    hello: json(HELLO),
    'hello without addresses and terms': hello({ ip4: null, security: null, heard: null }),
    'hello with ipv6': hello({ ip6: 'fd50::1' }),
    'hello with features of tomorrow': hello({ features: ['tomorrow/1'] }),
    ping: json({ t: 'ping', id: 0, sent: 0 }),
    'ping that claims the most that can be sent': json({
      t: 'ping',
      id: 2 ** 32 - 1,
      sent: Number.MAX_SAFE_INTEGER,
    }),
    'pong that nobody asked for': json({ t: 'pong', id: 77 }),
    credit: json({ t: 'credit', grant: 512, seq: 0, received: 0 }),
    'credit for more than was sent': json({ t: 'credit', grant: 2 ** 52, seq: 2 ** 52, received: 2 ** 52 }),
    'credit that takes back': json({ t: 'credit', grant: 0, seq: 0, received: 0 }),
    bye: json({ t: 'bye', reason: 'tincan ends' }),
    'bye without a reason': json({ t: 'bye', reason: '' }),
    'bye that paints a terminal': json({ t: 'bye', reason: '\u001b[2J\u001b]0;x\u0007' }),
  },
  bad: {
    empty: '',
    nonsense: 'nonsense',
    null: 'null',
    'a list': '[{"t":"ping"}]',
    'an empty object': '{}',
    'brackets 5000 deep': '['.repeat(5000),
    'longer than a control message may be': ' '.repeat(32_769),
    't unknown': '{"t":"open_sesame"}',
    't is __proto__': '{"t":"__proto__"}',
    't a list': '{"t":["ping"]}',
    'hello version 2': hello({ v: 2 }),
    'hello uid too short': hello({ uid: 'abc' }),
    'hello attempt 0': hello({ attempt: 0 }),
    'hello with an ipv4 address in hex': hello({ ip4: '0x7f.1' }),
    'hello with an ipv4 address of two parts': hello({ ip4: '10.1' }),
    'hello with a zone': hello({ ip6: 'fe80::1%eth0' }),
    'hello with a name for an address': hello({ ip4: 'localhost' }),
    'hello with 33 features': hello({ features: Array(33).fill('f') }),
    'hello with a feature of 33 characters': hello({ features: ['f'.repeat(33)] }),
    'hello with a foreign mode': hello({ security: { ...TERMS, mode: 'plain' } }),
    'hello with 65 groups': hello({ heard: { ...TERMS, groups: Array(65).fill('g') } }),
    'ping without an id': '{"t":"ping","sent":1}',
    'ping with id 2^32': json({ t: 'ping', id: 2 ** 32, sent: 0 }),
    'ping with an infinite count': '{"t":"ping","id":1,"sent":1e999}',
    'ping with a negative count': '{"t":"ping","id":1,"sent":-1}',
    'credit with a half': '{"t":"credit","grant":0.5,"seq":0,"received":0}',
    'credit beyond exact numbers': '{"t":"credit","grant":9007199254740993,"seq":0,"received":0}',
    'credit without seq': '{"t":"credit","grant":1,"received":0}',
    'bye with a reason of 201 characters': json({ t: 'bye', reason: 'r'.repeat(201) }),
    'bye with a reason that is none': '{"t":"bye","reason":{}}',
  },
};

/** @param {string} prefix @param {Record<string, string>} parts @param {(part: string) => string} make */
function prefixed(prefix, parts, make) {
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [prefix + name, make(part)]));
}
