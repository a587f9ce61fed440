import { ipFromBytes, ipToBytes } from './ip-text.ts';

/**
 * The two protocols by which a router is asked for a port: PCP (RFC 6887) and the older NAT-PMP (RFC 6886), which share a UDP port
 * and tell each other apart by the first byte. All numbers are in network order; lifetimes are in seconds.
 */
export const PORT_CONTROL_PORT = 5351;

/** RFC 6887 §7: the largest message. */
export const MAX_PORT_CONTROL_BYTES = 1_100;
/** RFC 6887 §11.1: 96 bits that pair the messages of one mapping. */
export const PCP_NONCE_BYTES = 12;

const PCP_VERSION = 2;
const PMP_VERSION = 0;
/** RFC 6887 §7.1: the R bit of responses. */
const RESPONSE = 0x80;
const PCP_MAP = 1;
const PCP_HEADER_BYTES = 24;
const PCP_MAP_BYTES = 36;
/** IANA's protocol number. */
const UDP = 17;
const PMP_ADDRESS = 0;
const PMP_MAP_UDP = 1;
const PMP_ADDRESS_BYTES = 12;
const PMP_MAP_BYTES = 16;
/** RFC 6886 §3.5: a refusal ends behind the epoch. */
const PMP_REFUSAL_BYTES = 8;

/** RFC 6887 §7.4 and RFC 6886 §3.5 have the same meaning of 1, and of 0. */
export const PORT_CONTROL_OK = 0;
export const UNSUPPORTED_VERSION = 1;

export interface MapRequest {
  /** UDP port of this machine. */
  internalPort: number;
  /** The outer port that is wished for. */
  externalPort: number;
  /** 0 takes the mapping back. */
  lifetimeS: number;
}

/** PCP's MAP request of this machine's address `client`; 12 unpredictable bytes of `nonce` are what keeps forgers out. */
export function encodePcpMap(request: MapRequest, client: string, nonce: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PCP_HEADER_BYTES + PCP_MAP_BYTES);
  const view = new DataView(bytes.buffer);
  bytes[0] = PCP_VERSION;
  bytes[1] = PCP_MAP;
  view.setUint32(4, request.lifetimeS);
  bytes.set(ipToBytes(client), 8);
  bytes.set(nonce.subarray(0, PCP_NONCE_BYTES), PCP_HEADER_BYTES);
  bytes[36] = UDP;
  view.setUint16(40, request.internalPort);
  view.setUint16(42, request.externalPort);
  // RFC 6887 §11.1: no wish for an address is the all-zeros one of the family.
  bytes.set(ipToBytes('0.0.0.0'), 44);
  return bytes;
}

/** NAT-PMP's question for the outer address. */
export function encodePmpAddress(): Uint8Array {
  return Uint8Array.of(PMP_VERSION, PMP_ADDRESS);
}

/** NAT-PMP's request for a UDP port. RFC 6886 §3.4: to take one back, the outer port is 0. */
export function encodePmpMap({ internalPort, externalPort, lifetimeS }: MapRequest): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  bytes[1] = PMP_MAP_UDP;
  view.setUint16(4, internalPort);
  view.setUint16(6, lifetimeS === 0 ? 0 : externalPort);
  view.setUint32(8, lifetimeS);
  return bytes;
}

interface Mapped {
  internalPort: number;
  externalPort: number;
  lifetimeS: number;
}

export type PortControlReply =
  /** The answer to a PCP request; `nonce` in hex. */
  | ({ is: 'pcp-map'; result: number; nonce: string; externalIp: string } & Mapped)
  | ({ is: 'pmp-map'; result: number } & Mapped)
  | { is: 'pmp-address'; result: number; externalIp: string }
  /** A router that does not know the request: which one it was does not matter. */
  | { is: 'refusal'; version: 'pcp' | 'pmp'; result: number };

/** Reads what a router answered; undefined for what is none of the answers to our requests. */
export function decodePortControl(data: Uint8Array): PortControlReply | undefined {
  if (data.length < PMP_REFUSAL_BYTES || data.length > MAX_PORT_CONTROL_BYTES) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const code = view.getUint8(1);
  if ((code & RESPONSE) === 0) return undefined;
  const operation = code & ~RESPONSE;
  if (view.getUint8(0) === PCP_VERSION) return readPcp(data, view, operation);
  return view.getUint8(0) === PMP_VERSION ? readPmp(data, view, operation) : undefined;
}

function readPcp(data: Uint8Array, view: DataView, operation: number): PortControlReply | undefined {
  if (data.length < PCP_HEADER_BYTES) return undefined;
  // PCP's result is one byte (RFC 6887 §7.2), where NAT-PMP's is two.
  const result = view.getUint8(3);
  const isMap = operation === PCP_MAP && data.length >= PCP_HEADER_BYTES + PCP_MAP_BYTES;
  if (!isMap) return result === PORT_CONTROL_OK ? undefined : { is: 'refusal', version: 'pcp', result };
  if (view.getUint8(36) !== UDP) return undefined;
  return {
    is: 'pcp-map',
    result,
    nonce: Buffer.from(data.subarray(PCP_HEADER_BYTES, PCP_HEADER_BYTES + PCP_NONCE_BYTES)).toString('hex'),
    internalPort: view.getUint16(40),
    externalPort: view.getUint16(42),
    externalIp: ipFromBytes(data.subarray(44, 60)),
    lifetimeS: view.getUint32(4),
  };
}

function readPmp(data: Uint8Array, view: DataView, operation: number): PortControlReply | undefined {
  const result = view.getUint16(2);
  if (operation === PMP_ADDRESS && data.length >= PMP_ADDRESS_BYTES) {
    return { is: 'pmp-address', result, externalIp: ipFromBytes(data.subarray(8, 12)) };
  }
  if (operation === PMP_MAP_UDP && data.length >= PMP_MAP_BYTES) {
    return {
      is: 'pmp-map',
      result,
      internalPort: view.getUint16(8),
      externalPort: view.getUint16(10),
      lifetimeS: view.getUint32(12),
    };
  }
  return result === PORT_CONTROL_OK ? undefined : { is: 'refusal', version: 'pmp', result };
}
