// The corpora of what is binary: datagrams of the API, messages of the frames channel, Ethernet frames.
import { createHmac } from 'node:crypto';

/** @param {string} text */
const hex = (text) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
/** Datagrams for an envelope whose secret is 32 bytes of 0x01, at 20 s of the clock, begun at 5 s. */
const SECRET = Buffer.alloc(32, 1);
const CALL = Buffer.from('{"m":"get_state","id":1}');
const AT_19_S = 19_000_000_000n;

/** @param {{ direction?: string, version?: number, type?: number, stamp?: bigint, secret?: Uint8Array, payload?: Uint8Array }} [fields] */
function sealed({
  direction = 'call',
  version = 4,
  type = 1,
  stamp = AT_19_S,
  secret = SECRET,
  payload = CALL,
} = {}) {
  const head = Buffer.alloc(18, 7);
  head[0] = version;
  head[1] = type;
  head.writeBigUInt64BE(stamp, 2);
  const body = Buffer.concat([head, payload]);
  const key = createHmac('sha256', secret).update(`kith api ${direction}`).digest();
  return Buffer.concat([body, createHmac('sha256', key).update(body).digest().subarray(0, 16)]);
}

/** @param {number} at */
function flipped(at) {
  const datagram = sealed();
  const index = at < 0 ? datagram.length + at : at;
  datagram[index] = (datagram[index] ?? 0) ^ 1;
  return datagram;
}

export const datagrams = {
  good: {
    'a call': sealed(),
    'a call at the oldest stamp that counts': sealed({ stamp: 10_000_000_000n }),
    'no payload': sealed({ payload: new Uint8Array(0) }),
    'another type': sealed({ type: 2 }),
    'the largest payload': sealed({ payload: new Uint8Array(65_507 - 18 - 16) }),
  },
  bad: {
    empty: new Uint8Array(0),
    'one byte': hex('04'),
    zeros: new Uint8Array(64),
    ones: new Uint8Array(64).fill(255),
    'a call of IPOP 15': Buffer.concat([hex('0301'), CALL]),
    'a call of IPOP 14': Buffer.concat([hex('0201'), CALL]),
    'plain JSON': CALL,
    'a STUN binding request': hex('0001 0000 2112a442 000102030405060708090a0b'),
    'a tag alone': new Uint8Array(34).fill(4),
    'cut by one byte': sealed().subarray(0, -1),
    'cut to its header': sealed().subarray(0, 18),
    'cut to one byte less than the least': sealed({ payload: new Uint8Array(0) }).subarray(0, 33),
    'one byte more': Buffer.concat([sealed(), hex('00')]),
    'a bit flipped in the version': flipped(0),
    'a bit flipped in the type': flipped(1),
    'a bit flipped in the stamp': flipped(9),
    'a bit flipped in the nonce': flipped(17),
    'a bit flipped in the payload': flipped(20),
    'a bit flipped in the tag': flipped(-1),
    'the secret of somebody else': sealed({ secret: Buffer.alloc(32, 2) }),
    'an empty secret': sealed({ secret: new Uint8Array(0) }),
    "a reply of tincan's own": sealed({ direction: 'reply' }),
    'from before the start': sealed({ stamp: 4_999_999_999n }),
    'older than the window': sealed({ stamp: 9_999_999_999n }),
    'from the future': sealed({ stamp: 30_000_000_001n }),
    'from the end of time': sealed({ stamp: 2n ** 64n - 1n }),
  },
};

/** A message of the frames channel: sequence number, then records. @param {number} sequence @param {Uint8Array[]} parts */
function frames(sequence, ...parts) {
  const head = Buffer.alloc(6);
  head.writeUIntBE(sequence, 0, 6);
  return Buffer.concat([head, ...parts]);
}
/** @param {number} length @param {number} [actual] */
function record(length, actual = length) {
  return Buffer.concat([Buffer.of(length >> 8, length & 255), Buffer.alloc(actual, 0xaa)]);
}

export const messages = {
  good: {
    'a frame': frames(1, record(64)),
    'the least frame': frames(1, record(14)),
    'three frames': frames(1, record(60), record(1374), record(14)),
    'no frame': frames(1),
    'the last number of the first grant': frames(512, record(60)),
  },
  bad: {
    empty: new Uint8Array(0),
    'five bytes': hex('0000000000'),
    'number 0': frames(0, record(60)),
    'one number beyond the grant': frames(513, record(60)),
    'the largest number': frames(2 ** 48 - 1, record(60)),
    'half of a length': Buffer.concat([frames(1), hex('00')]),
    'a length without a frame': Buffer.concat([frames(1), hex('003c')]),
    'a length of 0': frames(1, record(0)),
    'a frame of 13 bytes': frames(1, record(13)),
    'a frame cut by one byte': frames(1, record(60, 59)),
    'the largest length and nothing': frames(1, record(65_535, 0)),
    'a good frame, then a lie': frames(1, record(60), record(60, 2)),
  },
};

const SELF = '020000000001';
const PEER = '02000000000a';
const OTHER = '02000000000b';
/** IPv4 packets from the peer's own address, from another link's, and from this node's. */
const IP_PEER = '45000014 00000000 40110000 ac1f000a ac1f0001';
const IP_OTHER = '45000014 00000000 40110000 ac1f000b ac1f0001';
const IP_SELF = '45000014 00000000 40110000 ac1f0001 ac1f0001';
/** @param {string} mac @param {string} ip @param {string} [operation] */
const arp = (mac, ip, operation = '0001') => `0001 0800 0604 ${operation} ${mac} ${ip} 000000000000 ac1f0001`;
/** @param {string} source @param {string} next @param {string} payload */
const ip6 = (source, next, payload) =>
  `60000000 ${(payload.replaceAll(' ', '').length / 2).toString(16).padStart(4, '0')} ${next}ff ${source} ${'00'.repeat(16)} ${payload}`;
const IP6_OTHER = 'fd00000000000000000000000000000b';
const IP6_LOCAL = 'fe80000000000000000000000000000a';
const ADVERT = `88000000 60000000 ${IP6_OTHER}`;

/** Frames of a peer whose addresses are 02:..:0a and 172.31.0.10; 02:..:0b, 172.31.0.11 and fd00::b are another link's. */
export const ethernet = {
  good: frameFiles({
    'ipv4 from its own address': `${SELF} ${PEER} 0800 ${IP_PEER}`,
    'ipv4 in a vlan': `${SELF} ${PEER} 8100 0064 0800 ${IP_PEER}`,
    'ipv4 with ethernet padding': `${SELF} ${PEER} 0800 ${IP_PEER} ${'00'.repeat(26)}`,
    'arp request for its own address': `ffffffffffff ${PEER} 0806 ${arp(PEER, 'ac1f000a')}`,
    'arp probe of RFC 5227': `ffffffffffff ${PEER} 0806 ${arp(PEER, '00000000')}`,
    'dhcp from no address': `ffffffffffff ${PEER} 0800 ${IP_PEER.replace('ac1f000a', '00000000')}`,
    'ipv6 from a link-local address': `3333 00000001 ${PEER} 86dd ${ip6(IP6_LOCAL, '11', '00'.repeat(8))}`,
    'a solicitation for another link': `3333 ff00000b ${PEER} 86dd ${ip6(IP6_LOCAL, '3a', `87000000 00000000 ${IP6_OTHER}`)}`,
    lldp: `0180c200000e ${PEER} 88cc 0207`,
    'an experimental type': `${SELF} ${PEER} 88b5 ${'ff'.repeat(46)}`,
    'an 802.3 length instead of a type': `${SELF} ${PEER} 0026 4242 03`,
    'a bridge behind the peer': `${SELF} 0200000000aa 88b5 00`,
    'ipv6 with eight extension headers': `${SELF} ${PEER} 86dd ${ip6(IP6_LOCAL, '3c', `${'3c00010400000000'.repeat(7)} 3b00010400000000`)}`,
  }),
  bad: frameFiles({
    nothing: '',
    'one byte': '02',
    '13 bytes': `${SELF} ${PEER} 08`,
    'from a multicast address': `${SELF} 01005e000001 0800 ${IP_PEER}`,
    'from the broadcast address': `${SELF} ffffffffffff 0800 ${IP_PEER}`,
    'from the zero address': `${SELF} 000000000000 0800 ${IP_PEER}`,
    'from the address of another link': `${SELF} ${OTHER} 88b5 00`,
    'from our own address': `ffffffffffff ${SELF} 88b5 00`,
    'ipv4 of another link': `${SELF} ${PEER} 0800 ${IP_OTHER}`,
    'ipv4 of this node': `${SELF} ${PEER} 0800 ${IP_SELF}`,
    'ipv4 of another link in a vlan': `${SELF} ${PEER} 8100 0000 0800 ${IP_OTHER}`,
    'ipv4 of another link in a provider vlan': `${SELF} ${PEER} 88a8 0000 0800 ${IP_OTHER}`,
    'ipv4 in two vlans': `${SELF} ${PEER} 88a8 0000 8100 0000 0800 ${IP_OTHER}`,
    'ipv4 that says version 6': `${SELF} ${PEER} 0800 6${IP_PEER.slice(1)}`,
    'ipv4 with a header of 16 bytes': `${SELF} ${PEER} 0800 44${IP_PEER.slice(2)}`,
    'ipv4 longer than its frame': `${SELF} ${PEER} 0800 45000015${IP_PEER.slice(8)}`,
    'ipv4 shorter than its header': `${SELF} ${PEER} 0800 45000013${IP_PEER.slice(8)}`,
    'arp for the address of another link': `ffffffffffff ${PEER} 0806 ${arp(PEER, 'ac1f000b')}`,
    'arp reply for our own address': `ffffffffffff ${PEER} 0806 ${arp(PEER, 'ac1f0001', '0002')}`,
    'arp with the MAC of another link': `ffffffffffff ${PEER} 0806 ${arp(OTHER, 'ac1f000a')}`,
    'gratuitous arp for another link': `ffffffffffff ${PEER} 0806 0001 0800 0604 0002 ${PEER} ac1f000b ${PEER} ac1f000b`,
    'arp cut by one byte': `ffffffffffff ${PEER} 0806 ${arp(PEER, 'ac1f000a').slice(0, -2)}`,
    'arp for token ring': `ffffffffffff ${PEER} 0806 0006 ${arp(PEER, 'ac1f000a').slice(5)}`,
    'arp with addresses of length 255': `ffffffffffff ${PEER} 0806 0001 0800 ffff ${arp(PEER, 'ac1f000a').slice(15)}`,
    'ipv6 of another link': `${SELF} ${PEER} 86dd ${ip6(IP6_OTHER, '11', '00'.repeat(8))}`,
    'an advertisement for another link': `${SELF} ${PEER} 86dd ${ip6(IP6_LOCAL, '3a', ADVERT)}`,
    'an advertisement behind an extension header': `${SELF} ${PEER} 86dd ${ip6(IP6_LOCAL, '00', `3a00010400000000 ${ADVERT}`)}`,
    'an advertisement behind nine extension headers': `${SELF} ${PEER} 86dd ${ip6(IP6_LOCAL, '3c', `${'3c00010400000000'.repeat(8)} 3a00010400000000 ${ADVERT}`)}`,
    'an advertisement that is cut': `${SELF} ${PEER} 86dd ${ip6(IP6_LOCAL, '3a', '88000000 60000000')}`,
    'ipv6 with a payload that is not there': `${SELF} ${PEER} 86dd 60000000 0100 11ff ${IP6_LOCAL} ${'00'.repeat(16)}`,
  }),
};

/** @param {Record<string, string>} texts */
function frameFiles(texts) {
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, hex(text)]));
}
