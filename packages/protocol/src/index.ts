export { ACCOUNT_MISMATCH, ACCOUNT_MISTOLD, type AccountPair, accountDigest } from './account.ts';
export { API_IS_REPLY, type ApiCall, ApiCallError, type CallId, parseApiCall } from './api-calls.ts';
export {
  API_TYPE_CONTROL,
  ApiEnvelope,
  type Direction,
  ENVELOPE_VERSION,
  MAX_API_DATAGRAM,
  MAX_API_PAYLOAD,
  type OpenFailure,
  type OpenResult,
  REPLAY_CAPACITY,
  STAMP_WINDOW_NS,
} from './api-envelope.ts';
export { errorReply, methodOf } from './api-error-reply.ts';
export {
  type ApiAuth,
  type ApiForm,
  ApiForms,
  type Endpoint,
  encodeObject,
  encodeReply,
} from './api-forms.ts';
export {
  API_METHODS,
  type ApiMethod,
  type IceServer,
  MAX_ICE_SERVERS,
  MAX_KEPT_ADDRESSES,
  MAX_PEER_MESSAGE_CHARS,
  PEER_MESSAGE_NAME,
  type Translation,
} from './api-methods.ts';
export {
  API_TYPE_ICC_CONTROL,
  API_TYPE_ICC_PACKET,
  API_TYPE_PACKET,
  type ApiPacket,
  assertIccFrame,
  type IccType,
  MAX_ICC_BYTES,
  readApiPacket,
  readIcc,
  writeApiPacket,
} from './api-packets.ts';
export {
  type ApiReply,
  type ConnectionStats,
  type ConResp,
  type ConStat,
  encodeApiReply,
  type LinkSuspect,
  type LinkWanted,
  type LocalState,
  type NetworkChanged,
  type PeerMessage,
  type PeerState,
  parseApiReply,
  type XmppSessionState,
} from './api-replies.ts';
export {
  type Candidate,
  formatCandidate,
  fromSdpCandidate,
  MAX_CANDIDATES,
  parseCandidate,
  parseCandidates,
  toSdpCandidate,
} from './candidate.ts';
export {
  CHANNEL_DATA_HEADER_BYTES,
  decodeChannelData,
  encodeChannelData,
  isChannelData,
  MAX_CHANNEL,
  MIN_CHANNEL,
} from './channel-data.ts';
export {
  type ControlMessage,
  decodeControl,
  encodeControl,
  type Hello,
  MAX_CONTROL_BYTES,
  RELAY_FEATURE,
  type RelayMessage,
} from './control.ts';
export {
  DATAGRAM_HEADER_BYTES,
  DATAGRAM_PLAIN,
  DATAGRAM_PROBE,
  DATAGRAM_PROBE_REPLY,
  DATAGRAM_SEALED,
  DATAGRAM_TAG_BYTES,
  type DatagramHeader,
  readDatagramHeader,
  writeDatagramHeader,
} from './datagram.ts';
export {
  DIRECT_FEATURE,
  DIRECT_RELAY_FEATURE,
  type DirectAnswer,
  type DirectCandidate,
  type DirectControl,
  type DirectOffer,
  MAX_DIRECT_CANDIDATES,
} from './direct-control.ts';
export {
  FRAME_RECORD_BYTES,
  FRAMES_HEADER_BYTES,
  forEachFrame,
  MIN_FRAME_BYTES,
  readFramesSequence,
  writeFramesHeader,
} from './frames-message.ts';
export { canonicalIp, ipFromBytes, ipToBytes } from './ip-text.ts';
export {
  classifyUdp,
  NETWORK_FEATURE,
  type NetworkView,
  UDP_CLASSES,
  type UdpClass,
  type UdpEndpoint,
  type UdpEvidence,
  UNKNOWN_NETWORK,
} from './network-view.ts';
export { offlinePeer } from './offline-peer.ts';
export { RESERVED_MESSAGES } from './peer-message.ts';
export {
  decodePortControl,
  encodePcpMap,
  encodePmpAddress,
  encodePmpMap,
  type MapRequest,
  PCP_NONCE_BYTES,
  PORT_CONTROL_OK,
  PORT_CONTROL_PORT,
  type PortControlReply,
  UNSUPPORTED_VERSION,
} from './port-control.ts';
export { MIN_PROBE_BYTES, PROBE_BODY_BYTES, type ProbeBody, readProbeBody, writeProbeBody } from './probe.ts';
export {
  decideSecurity,
  MAX_GROUPS,
  SECURITY_MODES,
  type SecurityDecision,
  type SecurityMode,
  type SecurityTerms,
  sameTerms,
} from './security-terms.ts';
export {
  decodeSignal,
  encodeSignal,
  MAX_ATTEMPT,
  MAX_SIGNAL_CHARS,
  SIGNAL_NAMESPACE,
  SIGNAL_TYPES,
  type Signal,
  type SignalType,
} from './signal.ts';
export {
  HUB_STATES,
  LINK_STATES,
  type LinkStatus,
  type PathEventStatus,
  type PortMappingStatus,
  type StatusReport,
  statusQuestion,
  statusReport,
} from './status.ts';
export {
  type BindingResponse,
  decodeBindingResponse,
  encodeBindingRequest,
  STUN_TRANSACTION_BYTES,
} from './stun.ts';
export {
  TRUST_LEVELS,
  TRUST_MODES,
  type TrustAnswer,
  type TrustLevel,
  type TrustMode,
  type TrustNode,
  type TrustQuestion,
  type TrustRefusal,
  trustAnswer,
  trustQuestion,
  trustRefusal,
} from './trust.ts';
export {
  decodeTurn,
  encodeTurnRequest,
  type TurnAuth,
  type TurnMessage,
  type TurnMethod,
  type TurnRequest,
  type TurnResponse,
  turnKey,
} from './turn.ts';
export {
  bareJid,
  fingerprintOf,
  formatMac,
  isFingerprint,
  isUid,
  macOfUid,
  RESOURCE_PREFIX,
  type Uid,
  uidOfFingerprint,
  uidOfFullJid,
} from './uid.ts';
