import type { SecurityTerms, SignalType, Uid } from '@kith/protocol';

/** What the machine of a peer wants done. The shell does it in order. */
export type PeerAction =
  | { do: 'create-link'; uid: Uid; attempt: number; remote: RemoteEnd | undefined }
  /** Ends the link of one attempt, or whatever there is. */
  | { do: 'trim-link'; uid: Uid; reason: string; attempt: number | undefined }
  | { do: 'send'; uid: Uid; type: SignalType; attempt: number; cas: string };

export interface RemoteEnd {
  fpr: string;
  cas: string;
  encrypted: boolean;
  terms: SecurityTerms;
}

export type PeerState =
  /** Nothing to do: the node is not there, or nobody wants to send to it. */
  | { is: 'idle' }
  | { is: 'connecting'; since: number }
  | { is: 'online'; since: number }
  /** The last attempt failed; the next one starts at `until`. */
  | { is: 'waiting'; until: number; reason: string }
  | { is: 'refused'; reason: string };

/** A link that is online, whether or not the next attempt is under way. */
export interface OnlineLink {
  attempt: number;
  since: number;
  /** ICE user fragment of the peer's session; null: made by an earlier controller. */
  boundTo: string | null;
}
