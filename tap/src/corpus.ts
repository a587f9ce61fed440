/** Frames worth keeping: shapes that once broke, or would break, a parser of this kind. Written out as hex, header by header. */
export interface CorpusFrame {
  readonly name: string;
  readonly frame: Uint8Array;
  readonly isSound: boolean;
}

const HEADER = '020000000001 02000000000a';
const IP4_BODY = '45000014 00000000 40110000 ac1f000a ac1f0001';

export const corpus: readonly CorpusFrame[] = [
  entry('an empty frame', '', false),
  entry('a frame of 13 bytes', '020000000001 02000000000a 08', false),
  entry('a header alone with an unknown type', `${HEADER} 88cc`, true),
  entry('a header alone that promises IPv4', `${HEADER} 0800`, false),
  entry('a VLAN tag cut after its TPID', `${HEADER} 8100 00`, false),
  entry('a VLAN tag without anything behind it', `${HEADER} 8100 0000 88cc`, true),
  entry('an IPv4 header without a payload', `${HEADER} 0800 ${IP4_BODY}`, true),
  entry('IPv4 that says version 6', `${HEADER} 0800 65${IP4_BODY.slice(2)}`, false),
  entry('IPv4 with a header length of 16', `${HEADER} 0800 44${IP4_BODY.slice(2)}`, false),
  entry('IPv4 with options that are not there', `${HEADER} 0800 4f${IP4_BODY.slice(2)}`, false),
  entry('IPv4 of total length 0', `${HEADER} 0800 45000000${IP4_BODY.slice(8)}`, false),
  entry('IPv4 of total length 65535', `${HEADER} 0800 4500ffff${IP4_BODY.slice(8)}`, false),
  entry('ARP for another protocol', `${HEADER} 0806 0001 86dd 0604 0001 ${'00'.repeat(20)}`, false),
  entry('ARP with addresses of length 255', `${HEADER} 0806 0001 0800 ffff 0001 ${'00'.repeat(20)}`, false),
  entry('ARP for token ring', `${HEADER} 0806 0006 0800 0604 0001 ${'00'.repeat(20)}`, false),
  entry('IPv6 that says version 4', `${HEADER} 86dd 40000000 0000 3bff ${'00'.repeat(32)}`, false),
  entry(
    'IPv6 with a payload that is not there',
    `${HEADER} 86dd 60000000 0008 3bff ${'00'.repeat(32)}`,
    false,
  ),
  entry(
    'IPv6 whose extension header is cut',
    `${HEADER} 86dd 60000000 0004 00ff ${'00'.repeat(32)} 3a000104`,
    false,
  ),
  entry(
    'IPv6 whose extension header points past its end',
    `${HEADER} 86dd 60000000 0008 3cff ${'00'.repeat(32)} 3cff010400000000`,
    false,
  ),
  entry(
    'a cut neighbour advertisement',
    `${HEADER} 86dd 60000000 0008 3aff ${'00'.repeat(32)} 8800000000000000`,
    false,
  ),
  entry('an IPv6 fragment', `${HEADER} 86dd 60000000 0008 2cff ${'00'.repeat(32)} 3a00000000000001`, true),
];

function entry(name: string, hex: string, isSound: boolean): CorpusFrame {
  return { name, frame: Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex')), isSound };
}
