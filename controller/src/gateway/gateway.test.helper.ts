import { ConfigError } from '@kith/base';
import type { ApiForm, Endpoint } from '@kith/protocol';
import { Gateway } from './gateway.ts';
import type { JsonObject } from './json-object.ts';
import type { Account } from './registration.ts';

export const ME = '11'.repeat(20);
export const BERT = '22'.repeat(20);
export const BERT_JID = `bert@vpn.test/tincan${BERT}`;
export const FORMS: readonly ApiForm[] = [2, 3, 4];
/** Where tincan is to send notifications, and where the caller wants them. */
export const CALLBACK_PORT = 7_777;
export const ENDPOINT_PORT = 6_000;
export const REGISTER = {
  m: 'register_svc',
  username: 'anna@vpn.test',
  password: 'secret',
  host: 'vpn.test',
};

interface Sent {
  to: Endpoint | 'tincan';
  type: number;
  payload: Buffer;
  /** The payload's JSON, empty where it has none. */
  json: JsonObject;
}

/** A gateway with a record of what it did, a caller of one form, and a tincan that is played by hand. */
export class GatewayRig {
  readonly gateway: Gateway;
  readonly client: Endpoint;
  sent: Sent[] = [];
  readonly signals: { jid: string; type: string; data: string }[] = [];
  readonly accounts: Account[] = [];
  /** How signals to friends fare. */
  deliver: () => Promise<void> = async () => {};
  now = 1_000;

  constructor(form: ApiForm = 2) {
    this.client = { address: '127.0.0.1', port: 5_000, form };
    const record = (to: Endpoint | 'tincan', type: number, payload: Uint8Array): void =>
      void this.sent.push({ to, type, payload: Buffer.from(payload), json: jsonOf(payload) });
    this.gateway = new Gateway({
      toTincan: (_, type, payload) => record('tincan', type, payload),
      toClient: record,
      reaches: (address) => address === '::1' || address.startsWith('127.'),
      callbackPort: CALLBACK_PORT,
      signIn: (account) => {
        if (account.jid.startsWith('@')) throw new ConfigError('XMPP_JID', 'no account');
        this.accounts.push(account);
      },
      sendSignal: (jid, type, data) => {
        this.signals.push({ jid, type, data });
        return this.deliver();
      },
      counters: () => ({ elsewhere: 7 }),
    });
  }

  /** Anna is signed in, her controller has its callback, and Bert is there. */
  static signedIn(form: ApiForm = 2): GatewayRig {
    const rig = new GatewayRig(form);
    rig.call({ m: 'set_cb_endpoint', ip: '::', port: ENDPOINT_PORT });
    rig.call(REGISTER);
    rig.answerState();
    rig.gateway.sessionBegins(true, rig.now);
    rig.gateway.hubState({ state: 'online', detail: null }, rig.now);
    rig.presence(BERT_JID, true);
    rig.answerState();
    rig.sent = [];
    return rig;
  }

  get toTincan(): JsonObject[] {
    return this.sent.filter(({ to }) => to === 'tincan').map(({ json }) => json);
  }

  get toCallers(): JsonObject[] {
    return this.sent.filter(({ to }) => to !== 'tincan').map(({ json }) => json);
  }

  call(message: object): void {
    this.gateway.fromClient(this.client, 1, Buffer.from(JSON.stringify(message)), this.now);
  }

  /** A notification of tincan's. */
  notify(message: object): void {
    this.gateway.notified(1, Buffer.from(JSON.stringify(message)), this.now);
  }

  presence(jid: string, available: boolean): void {
    this.gateway.presence(jid, available, this.now);
  }

  signal(jid: string, type: string, data: string): ReturnType<Gateway['signal']> {
    return this.gateway.signal(jid, type, data, this.now);
  }

  /** tincan's answer to the last get_state that it was asked. */
  answerState(local: object = {}, peers: readonly object[] = []): void {
    const id = this.toTincan.findLast(({ m }) => m === 'get_state')?.id;
    const state = {
      type: 'local_state',
      id,
      tap: 'up',
      _uid: ME,
      peers: peers.length,
      counters: { links: 1 },
    };
    const told = peers.map((peer) => ({ type: 'peer_state', id, ...peer }));
    for (const message of [{ ...state, ...local }, ...told]) {
      this.gateway.fromTincan(this.client, 1, Buffer.from(JSON.stringify(message)), this.now);
    }
  }
}

function jsonOf(payload: Uint8Array): JsonObject {
  try {
    return JSON.parse(Buffer.from(payload).toString());
  } catch {
    return {};
  }
}
