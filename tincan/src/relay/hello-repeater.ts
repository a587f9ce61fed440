import { Timers } from '@kith/base';

/**
 * When a ClientHello is sent again, ms after the first. Round trips through a relay are longer than the first of these only where the
 * whole set-up takes long; a copy that was not needed is dropped by the receiver as a replay (RFC 6347 §4.1.2.6).
 */
const REPEAT_AT_MS = [60, 150, 400];

/** RFC 6347 §4.1: a record's header has 13 bytes, the epoch at 3; §4.2.2: a handshake message begins with its type. */
const EPOCH = 3;
const HANDSHAKE_TYPE = 13;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
/** RFC 7983 §7: first bytes of DTLS. */
const DTLS_FIRST = 20;
const DTLS_LAST = 63;

/**
 * Repeats the first message of a DTLS handshake until the other end says something. libdatachannel drops a ClientHello that comes
 * before the receiver's own ICE is connected, and repeats it after one second (libdatachannel#1635); between two relays that happens
 * every other time, since the end whose check comes second is connected first.
 */
export class HelloRepeater {
  readonly #send: (message: Uint8Array) => void;
  readonly #timers = new Timers();
  #isAnswered = false;

  constructor(send: (message: Uint8Array) => void) {
    this.#send = send;
  }

  /** A message of the client went out. */
  sent(message: Uint8Array): void {
    if (this.#isAnswered || !isClientHello(message)) return;
    const copy = Uint8Array.from(message);
    for (const at of REPEAT_AT_MS) this.#timers.after(`hello ${at}`, at, () => this.#send(copy));
  }

  /** A message for the client came in. */
  received(message: Uint8Array): void {
    if (this.#isAnswered || !isDtls(message)) return;
    this.#isAnswered = true;
    this.#timers.clearAll();
  }

  stop(): void {
    this.#timers.clearAll();
  }
}

function isDtls(message: Uint8Array): boolean {
  const first = message[0] ?? 0;
  return first >= DTLS_FIRST && first <= DTLS_LAST;
}

function isClientHello(message: Uint8Array): boolean {
  return (
    message[0] === HANDSHAKE &&
    message[EPOCH] === 0 &&
    message[EPOCH + 1] === 0 &&
    message[HANDSHAKE_TYPE] === CLIENT_HELLO
  );
}
