export type { BlockChange } from './blocking.ts';
export type { NodeAnnouncement } from './node-announcement.ts';
export { XmppSession } from './session.ts';
export { SignalRefused } from './signal-refused.ts';
export { SIGNAL_DATA_MAX } from './signal-stanza.ts';
export type {
  HubState,
  HubStateName,
  IceServer,
  IncomingSignal,
  PresenceChange,
  RefuseCondition,
  RosterItem,
  Subscription,
  XmppCounters,
  XmppEvents,
  XmppOptions,
} from './types.ts';
