import { ConfigError, SystemError } from '@kith/base';
import type { CallId, Endpoint, Uid, XmppSessionState } from '@kith/protocol';
import type { HubState, HubStateName } from '../xmpp/index.ts';
import { FRIEND_RESOURCE } from './friends.ts';

/** What register_svc says. */
export interface ServiceCall {
  username: string;
  password: string;
  host: string;
  port?: number | undefined;
}

/** An account at a hub, and this node's name there. */
export interface Account {
  readonly jid: string;
  readonly password: string;
  /** `xmpp://host:port`: STARTTLS, enforced. */
  readonly server: string;
  readonly resource: string;
  readonly uid: Uid;
}

/** Who waits to hear how the sign-in went. */
export interface Waiter {
  readonly client: Endpoint;
  readonly id: CallId | undefined;
}

/** IANA's xmpp-client, as IPOP's default. */
const XMPP_PORT = 5222;
/** A caller repeats a call that got no answer some times; more wait for nothing. */
const MAX_WAITERS = 16;
/** States that the callback endpoint is told: how a try ended, not that one begins. */
const TOLD: ReadonlySet<HubStateName> = new Set(['online', 'waiting', 'refused', 'conflict']);

/**
 * The account that a call names.
 * @throws ConfigError API_FIELD that names the field which is empty.
 */
export function accountOf(call: ServiceCall, uid: Uid): Account {
  for (const field of ['username', 'password', 'host'] as const) {
    if (call[field] === '') throw new ConfigError('API_FIELD', `${field}: must not be empty`, { field });
  }
  const { username, password, port = XMPP_PORT } = call;
  const host = call.host.includes(':') ? `[${call.host.replace(/^\[|\]$/g, '')}]` : call.host;
  return {
    // IPOP wants the bare JID; a name alone can only mean an account of that host.
    jid: username.includes('@') ? username : `${username}@${call.host}`,
    password,
    server: `xmpp://${host}:${port}`,
    resource: `${FRIEND_RESOURCE}${uid}`,
    uid,
  };
}

/** What `hubState` says is to be done. */
export interface Verdict {
  /** Callers that hear of success. */
  succeeded: Waiter[];
  /** Callers that hear of `error`. */
  failed: Waiter[];
  error: SystemError | undefined;
  /** Tell the callback endpoint. */
  tell: boolean;
}

/** The account that register_svc named, how its session does, and who wants to know. Pure. */
export class Registration {
  #account: Account | undefined;
  #hub: Pick<HubState, 'state' | 'detail'> = { state: 'stopped', detail: null };
  #waiters: Waiter[] = [];
  #told: string | undefined;

  get account(): Account | undefined {
    return this.#account;
  }

  /** For local_state and xmpp_state; undefined before register_svc. */
  get report(): XmppSessionState | undefined {
    if (this.#account === undefined) return undefined;
    return { jid: `${this.#account.jid}/${this.#account.resource}`, ...this.#hub };
  }

  /** Whether the account is the one that is signed in, or being signed in, already. */
  isSame(account: Account): boolean {
    const now = this.#account;
    return (
      now !== undefined &&
      (['jid', 'password', 'server', 'resource'] as const).every((key) => now[key] === account[key])
    );
  }

  /** Another account from now on. Who waited for the one before hears that it was replaced. */
  replace(account: Account): Waiter[] {
    this.#account = account;
    this.#hub = { state: 'connecting', detail: null };
    this.#told = undefined;
    return this.#waiters.splice(0);
  }

  /** Answers at once when the outcome is known: true for success, an error; undefined: the caller waits. */
  wait(waiter: Waiter): true | SystemError | undefined {
    if (this.#hub.state === 'online') return true;
    const failure = failureOf(this.#hub);
    if (failure !== undefined) return failure;
    if (this.#waiters.length >= MAX_WAITERS)
      return new SystemError('API_BUSY', 'too many calls are waiting for the XMPP server');
    this.#waiters.push(waiter);
    return undefined;
  }

  hubState({ state, detail }: Pick<HubState, 'state' | 'detail'>): Verdict {
    this.#hub = { state, detail };
    const error = failureOf(this.#hub);
    const isOver = state === 'online' || error !== undefined;
    const waiters = isOver ? this.#waiters.splice(0) : [];
    const now = `${state} ${detail}`;
    const tell = TOLD.has(state) && now !== this.#told;
    if (tell) this.#told = now;
    return {
      succeeded: state === 'online' ? waiters : [],
      failed: state === 'online' ? [] : waiters,
      error,
      tell,
    };
  }
}

/** Why a session is not there, as an error; its code is the one that stands before the detail's text. */
function failureOf({ state, detail }: Pick<HubState, 'state' | 'detail'>): SystemError | undefined {
  if (state !== 'waiting' && state !== 'refused' && state !== 'conflict') return undefined;
  const [, code = 'XMPP_CLOSED', text = 'the session at the XMPP server was lost'] =
    /^([A-Z][A-Z0-9_]*): (.*)$/s.exec(detail ?? '') ?? [];
  return new SystemError(code, text);
}
