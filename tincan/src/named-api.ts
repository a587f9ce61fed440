import {
  type ApiCall,
  type ApiReply,
  ENVELOPE_VERSION,
  type Endpoint,
  type IccType,
  readApiPacket,
  type Uid,
  uidOfFingerprint,
  writeApiPacket,
} from '@kith/protocol';
import type { ApiHandlers } from './api-server.ts';
import type { Notifier } from './callback.ts';
import type { UidNames } from './uid-names.ts';

/** Notifications as their endpoint reads them: in IPOP's forms nodes have the names that the controller gave them. */
export function namedNotifier(notifier: Notifier, names: UidNames): Notifier {
  return {
    reaches: (address) => notifier.reaches(address),
    notify: (to, message) => notifier.notify(to, isOurs(to) ? message : names.named(message)),
    send: (to, type, payload) => {
      if (isOurs(to)) {
        notifier.send(to, type, payload);
        return;
      }
      const { source, destination, frame } = readApiPacket(payload);
      const named = writeApiPacket(nameOrNone(source, names), nameOrNone(destination, names), frame);
      notifier.send(to, type, named);
    },
  };
}

/** The other way round: what callers of IPOP's forms name becomes the UID that it stands for. */
export class NamedApi implements ApiHandlers {
  readonly #api: ApiHandlers;
  readonly #names: UidNames;
  readonly #rename: (from: Uid, to: Uid) => void;

  /** @param rename what is known under one UID belongs to another from now on */
  constructor(api: ApiHandlers, names: UidNames, rename: (from: Uid, to: Uid) => void) {
    this.#api = api;
    this.#names = names;
    this.#rename = rename;
  }

  async call(call: ApiCall, caller: Endpoint): Promise<ApiReply[]> {
    if (isOurs(caller)) return await this.#api.call(call, caller);
    const { params } = call;
    if (call.m === 'set_local_ip') {
      if (call.params.uid !== undefined) this.#names.nameSelf(call.params.uid);
      call.params.uid = undefined;
    } else if (call.m === 'create_link' && call.params.fpr !== '') {
      const uid = uidOfFingerprint(call.params.fpr);
      const before = this.#names.name(call.params.uid, uid);
      if (before !== undefined) this.#rename(before, uid);
    }
    if ('uid' in params && params.uid !== undefined && params.uid !== '') {
      params.uid = this.#names.uidOf(params.uid);
    }
    return (await this.#api.call(call, caller)).map((reply) => this.#names.named(reply));
  }

  packet(payload: Uint8Array, caller: Endpoint): void {
    this.#api.packet(payload, caller);
  }

  icc(type: IccType, payload: Uint8Array, caller: Endpoint): void {
    if (isOurs(caller)) {
      this.#api.icc(type, payload, caller);
      return;
    }
    const { source, destination, frame } = readApiPacket(payload);
    const uidOrNone = (name: string | null) => (name === null ? null : this.#names.uidOf(name));
    this.#api.icc(type, writeApiPacket(uidOrNone(source), uidOrNone(destination), frame), caller);
  }
}

function nameOrNone(uid: string | null, names: UidNames): string | null {
  return uid === null ? null : names.nameOf(uid);
}

function isOurs({ form }: Endpoint): boolean {
  return form === ENVELOPE_VERSION;
}
