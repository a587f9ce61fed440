import type { RemoteInfo } from 'node:dgram';
import { ApiSockets, type Logger, monotonicMs, Timers } from '@kith/base';
import type { GatewayStart } from '@kith/config';
import { ApiForms, type Endpoint } from '@kith/protocol';
import { Gateway } from './gateway.ts';
import { Hub } from './hub.ts';
import { TincanLines } from './tincan-lines.ts';

/** How often what waits for tincan is looked at. */
const TICK_MS = 250;

/** The gateway with its sockets and its session. */
export class GatewayProcess {
  readonly #sockets: ApiSockets;
  readonly #lines: TincanLines;
  readonly #hub: Hub;
  readonly #timers = new Timers();

  private constructor(sockets: ApiSockets, lines: TincanLines, hub: Hub) {
    this.#sockets = sockets;
    this.#lines = lines;
    this.#hub = hub;
  }

  /** @throws SystemError API_PORT when the API's port cannot be had. */
  static async start(start: GatewayStart, log: Logger): Promise<GatewayProcess> {
    const now = process.hrtime.bigint;
    const secret = Buffer.from(start.secret, 'hex');
    const callers = new ApiForms(secret, start.api_auth, now(), 'reply');
    const tincan = new ApiForms(secret, start.api_auth, now(), 'call');
    const counters = { gateway_dropped_unproved: 0, gateway_dropped_replayed: 0 };

    const hub: Hub = new Hub(start.xmpp_ca, log, {
      state: (state) => {
        log.info({ state: state.state, detail: state.detail }, `XMPP server ${state.state}`);
        gateway.hubState(state, monotonicMs());
      },
      session: (isNew) => gateway.sessionBegins(isNew, monotonicMs()),
      friendsChanged: (isFriend) => gateway.friendsChanged(isFriend),
      presence: (from, available) => gateway.presence(from, available, monotonicMs()),
      signal: (from, type, data) => gateway.signal(from, type, data, monotonicMs()),
    });
    const lines: TincanLines = await TincanLines.open(
      start.tincan_port,
      (client, datagram) => {
        const read = tincan.read(datagram, now());
        if (read.ok) gateway.fromTincan(client, read.type, read.payload, monotonicMs());
        else counters.gateway_dropped_unproved++;
      },
      (datagram) => {
        const read = tincan.read(datagram, now());
        if (read.ok) gateway.notified(read.type, read.payload, monotonicMs());
        else counters.gateway_dropped_unproved++;
      },
      log,
    );
    const sockets = await ApiSockets.bind(start.api_port, log);
    const gateway: Gateway = new Gateway({
      toTincan: (client, type, payload) =>
        lines.send(client, tincan.write(client.form, type, payload, now())),
      toClient: ({ address, port, form }, type, payload) =>
        sockets.send(callers.write(form, type, payload, now()), port, address),
      reaches: (address) => sockets.reaches(address),
      callbackPort: lines.notificationPort,
      signIn: (account) => hub.signIn(account),
      sendSignal: (jid, type, data) => hub.sendSignal(jid, type, data),
      counters: () => ({ ...counters, ...lines.counters, ...hub.counters }),
    });
    sockets.onMessage((datagram: Buffer, { address, port }: RemoteInfo) => {
      const read = callers.read(datagram, now());
      if (!read.ok) {
        if (read.why === 'replayed' || read.why === 'stale') counters.gateway_dropped_replayed++;
        else counters.gateway_dropped_unproved++;
        return;
      }
      const caller: Endpoint = { address, port, form: read.form };
      gateway.fromClient(caller, read.type, read.payload, monotonicMs());
    }, log);
    const self = new GatewayProcess(sockets, lines, hub);
    self.#timers.every('tick', TICK_MS, () => {
      if (gateway.isWaiting) gateway.tick(monotonicMs());
    });
    return self;
  }

  /** Signs out and closes everything. */
  async stop(): Promise<void> {
    this.#timers.clearAll();
    await this.#hub.stop();
    this.#lines.close();
    await this.#sockets.close();
  }
}
