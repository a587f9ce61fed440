import { BugError, describeError, type Logger, Timers } from '@kith/base';
import { type Candidate, fromSdpCandidate, type IceServer, toSdpCandidate, type Uid } from '@kith/protocol';
import { type DataChannel, PeerConnection, setSctpSettings } from 'node-datachannel';
import { endpointText } from '../endpoint.ts';
import type { Identity } from '../identity.ts';
import { type IceCredentials, iceCredentialsOf, remoteAnswer } from './session-description.ts';

/** Negotiated stream ids (RFC 8832 is not used: both ends know them). */
const CONTROL_STREAM = 1;
const FRAMES_STREAM = 2;

/** Largest message of either channel. Must not exceed the SCTP send buffer below. */
export const MAX_MESSAGE_BYTES = 65_536;

/**
 * usrsctp's default buffers of 1 MiB add up to 250 ms of latency under load at data-channel speed; 256 KiB was measured to cut the
 * 99th percentile from 250 to 12 ms at no loss of throughput.
 */
const SCTP_BUFFER_BYTES = 262_144;

let sctpConfigured = false;

/** What a session tells its link. All are called on the main thread; exceptions in them are caught and reported as bugs. */
export interface PeerSessionEvents {
  candidate(candidate: Candidate): void;
  gathered(): void;
  /** Both data channels are open, DTLS has proved the fingerprint. */
  open(): void;
  control(text: string): void;
  /** One message of the frames channel; the bytes are the callee's to keep. */
  frames(message: Uint8Array): void;
  /** The library's send buffer has drained; more can be sent. */
  writable(): void;
  failed(reason: string): void;
}

export interface PeerSessionOptions {
  identity: Identity;
  peerUid: Uid;
  /** Who tells ICE how its socket is seen. TURN is not the library's: it locks itself up with it (`relay/detours.ts`). */
  stunServer: IceServer | undefined;
  portRange: readonly [number, number] | undefined;
  log: Logger;
}

/**
 * A thin shell around one node-datachannel PeerConnection with our two negotiated channels. It exists for the library's traps: its
 * objects must stay referenced or the garbage collector closes them, and an exception inside a callback aborts the process.
 */
export class PeerSession {
  readonly #options: PeerSessionOptions;
  readonly #events: PeerSessionEvents;
  readonly #connection: PeerConnection;
  readonly #control: DataChannel;
  readonly #frames: DataChannel;
  readonly #local: IceCredentials;
  #remote: IceCredentials | undefined;
  readonly #timers = new Timers();
  #closed = false;
  #opened = false;

  constructor(options: PeerSessionOptions, events: PeerSessionEvents) {
    this.#options = options;
    this.#events = events;
    if (!sctpConfigured) {
      // Global to the library and only effective before the first connection.
      setSctpSettings({ sendBufferSize: SCTP_BUFFER_BYTES, recvBufferSize: 4 * SCTP_BUFFER_BYTES });
      sctpConfigured = true;
    }
    const { stunServer } = options;
    const connection = new PeerConnection(options.peerUid.slice(0, 8), {
      // As an object: of a URL the library parses no IPv6 address.
      iceServers: stunServer === undefined ? [] : [{ hostname: stunServer.host, port: stunServer.port }],
      // Both ends make a local offer by hand; see DESIGN §4, "there is no offerer".
      disableAutoNegotiation: true,
      certificatePemFile: options.identity.certificatePem,
      keyPemFile: options.identity.keyPem,
      maxMessageSize: MAX_MESSAGE_BYTES,
      ...(options.portRange
        ? { portRangeBegin: options.portRange[0], portRangeEnd: options.portRange[1] }
        : {}),
    });
    this.#connection = connection;
    connection.onLocalCandidate(this.#guard((line: string) => this.#localCandidate(line)));
    connection.onGatheringStateChange(
      this.#guard((state: string) => {
        if (state === 'complete') this.#events.gathered();
      }),
    );
    connection.onStateChange(
      this.#guard((state: string) => {
        if (state === 'failed') this.#fail('ICE or DTLS failed');
        if (state === 'closed') this.#fail('the peer closed the connection');
      }),
    );
    connection.onDataChannel(this.#guard(() => this.#fail('the peer opened a data channel of its own')));
    this.#control = connection.createDataChannel('control', { negotiated: true, id: CONTROL_STREAM });
    this.#frames = connection.createDataChannel('frames', {
      negotiated: true,
      id: FRAMES_STREAM,
      unordered: true,
      maxRetransmits: 0,
    });
    for (const channel of [this.#control, this.#frames]) {
      channel.onOpen(this.#guard(() => this.#channelOpen()));
      channel.onClosed(this.#guard(() => this.#fail('the peer closed a data channel')));
      channel.onError(this.#guard((error: string) => this.#fail(`data channel: ${error}`)));
    }
    this.#control.onMessage(
      this.#guard((message: string | Buffer | ArrayBuffer) => {
        // A binary control message is as malformed as text that is no JSON; the decoder says so.
        this.#events.control(typeof message === 'string' ? message : '');
      }),
    );
    this.#frames.onMessage(
      this.#guard((message: string | Buffer | ArrayBuffer) => {
        this.#events.frames(bytesOf(message));
      }),
    );
    this.#frames.setBufferedAmountLowThreshold(0);
    this.#frames.onBufferedAmountLow(this.#guard(() => this.#events.writable()));
    connection.setLocalDescription('offer');
    const local = iceCredentialsOf(connection.localDescription()?.sdp ?? '');
    if (local === undefined)
      throw new BugError('ICE_NO_CREDENTIALS', 'the local description has no ICE credentials');
    this.#local = local;
  }

  get local(): IceCredentials {
    return this.#local;
  }

  /** The peer's ICE credentials, once applied. */
  get remote(): IceCredentials | undefined {
    return this.#remote;
  }

  /** Applies the peer's description; its candidates follow by `addCandidate`. May be called once. */
  applyRemote(fingerprint: string, ice: IceCredentials): void {
    this.#remote = ice;
    this.#connection.setRemoteDescription(
      remoteAnswer(this.#options.identity.uid, this.#options.peerUid, fingerprint, ice, MAX_MESSAGE_BYTES),
      'answer',
    );
  }

  addCandidate(candidate: Candidate): void {
    this.#connection.addRemoteCandidate(toSdpCandidate(candidate), '0');
  }

  /** False when the channel is not open. */
  sendControl(text: string): boolean {
    if (this.#closed || !this.#control.isOpen()) return false;
    try {
      this.#control.sendMessage(text);
      return true;
    } catch {
      // The peer may close between the question and the call; the state change follows and ends the link.
      return false;
    }
  }

  /** Bytes of the control channel that have not left yet. */
  get controlBuffered(): number {
    return this.#closed ? 0 : this.#control.bufferedAmount();
  }

  /** Bytes that the library holds back because SCTP's own buffer is full. */
  get framesBuffered(): number {
    return this.#closed ? 0 : this.#frames.bufferedAmount();
  }

  /** Hands one message to the library, which copies it. False when the channel is not open. */
  sendFrames(message: Uint8Array): boolean {
    if (this.#closed || !this.#frames.isOpen()) return false;
    this.#frames.sendMessageBinary(message);
    return true;
  }

  /** The fingerprint that DTLS verified, upper case with colons. */
  get remoteFingerprint(): string {
    return this.#connection.remoteFingerprint().value.toUpperCase();
  }

  /** The pair of addresses that ICE selected, or null while there is none. */
  selectedPair(): SelectedPair | null {
    if (this.#closed) return null;
    const pair = this.#connection.getSelectedCandidatePair();
    if (pair === null) return null;
    return {
      local: endpointText({ ip: pair.local.address, port: pair.local.port }),
      remote: endpointText({ ip: pair.remote.address, port: pair.remote.port }),
      localType: candidateType(pair.local.type),
      remoteType: candidateType(pair.remote.type),
    };
  }

  /**
   * From now on nothing is taken from the peer and nothing told of it.
   * @param lingerMs what was sent may still arrive for so long, if the peer does not end the connection before
   */
  close(lingerMs = 0): void {
    if (this.#closed) return;
    this.#closed = true;
    if (lingerMs === 0) this.#connection.close();
    else this.#timers.after('linger', lingerMs, () => this.#connection.close());
  }

  #channelOpen(): void {
    if (this.#opened || !this.#control.isOpen() || !this.#frames.isOpen()) return;
    this.#opened = true;
    this.#events.open();
  }

  #localCandidate(line: string): void {
    // Called only after the constructor has returned: the library delivers by the event loop.
    const candidate = fromSdpCandidate(line, this.#local.ufrag, this.#local.pwd);
    if (candidate !== undefined) this.#events.candidate(candidate);
  }

  #fail(reason: string): void {
    if (!this.#closed) this.#events.failed(reason);
  }

  #guard<A extends unknown[]>(callback: (...args: A) => void): (...args: A) => void {
    return (...args) => {
      if (this.#closed) return;
      try {
        callback(...args);
      } catch (error) {
        this.#options.log.error(
          { err: error, peer: this.#options.peerUid },
          `bug in a link callback: ${describeError(error)}`,
        );
      }
    };
  }
}

export type CandidateType = 'local' | 'stun' | 'relay';

export interface SelectedPair {
  local: string;
  remote: string;
  localType: CandidateType;
  remoteType: CandidateType;
}

/** Whether a TURN server of either end carries the pair. */
export function isRelayedPair(pair: SelectedPair | null): boolean {
  return pair?.localType === 'relay' || pair?.remoteType === 'relay';
}

function candidateType(type: string): CandidateType {
  if (type === 'host') return 'local';
  return type === 'relay' || type === 'relayed' ? 'relay' : 'stun';
}

function bytesOf(message: string | Buffer | ArrayBuffer): Uint8Array {
  // Text on the frames channel is malformed; empty bytes are counted as such.
  if (typeof message === 'string') return new Uint8Array(0);
  return message instanceof ArrayBuffer ? new Uint8Array(message) : message;
}
