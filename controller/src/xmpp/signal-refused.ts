import { PeerError } from '@kith/base';

/** The other end, or a server on the way, answered a signal with an error. */
export class SignalRefused extends PeerError {
  /** Stanza error condition, e.g. `service-unavailable`: nobody there, or somebody who does not want us. */
  readonly condition: string;

  constructor(to: string, condition: string) {
    super('XMPP_SIGNAL_REFUSED', `${to} refused the signal: ${condition}`);
    this.condition = condition;
  }
}
