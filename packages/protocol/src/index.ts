export {
  API_METHODS,
  type ApiCall,
  ApiCallError,
  type ApiMethod,
  type CallId,
  type IceServer,
  parseApiCall,
} from './api-calls.ts';
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
export {
  type ApiReply,
  type ConnectionStats,
  type ConResp,
  type ConStat,
  encodeApiReply,
  type LocalState,
  type PeerState,
  parseApiReply,
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
  type ControlMessage,
  decodeControl,
  encodeControl,
  type Hello,
  MAX_CONTROL_BYTES,
} from './control.ts';
export {
  FRAME_RECORD_BYTES,
  FRAMES_HEADER_BYTES,
  forEachFrame,
  MIN_FRAME_BYTES,
  readFramesSequence,
  writeFramesHeader,
} from './frames-message.ts';
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
export { HUB_STATES, LINK_STATES, type LinkStatus, type StatusReport, statusReport } from './status.ts';
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
