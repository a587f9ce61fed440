import { decodeChannelData } from '@kith/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seeded } from '../direct/simulated-network.test.helper.ts';
import type { Endpoint } from '../endpoint.ts';
import { FakeTurn } from './fake-turn.test.helper.ts';
import { TurnClient } from './turn-client.ts';

const SERVER = { ip: '203.0.113.1', port: 3478 };
const PEER = { ip: '198.51.100.7', port: 5801 };

/** A client and a server on one clock; what the client sends by way of the server, and hears of it. */
class Bench {
  now = 0;
  socket: Endpoint = { ip: '192.0.2.1', port: 5801 };
  /** Probability of loss. */
  loss = 0;
  isDead = false;
  readonly random: () => number;
  readonly client: TurnClient;
  readonly turn: FakeTurn;
  readonly heard: string[] = [];
  readonly peerGot: string[] = [];
  changes = 0;
  readonly bound: Endpoint[] = [];
  #events: { at: number; run: () => void }[] = [];
  #due = 0;

  constructor(seed = 1) {
    this.random = seeded(seed);
    this.turn = new FakeTurn(SERVER, (_from, to, data) => {
      if (to.ip === PEER.ip) this.peerGot.push(Buffer.from(data).toString());
      else if (to.ip === this.socket.ip && to.port === this.socket.port) this.#carry(() => this.#hear(data));
    });
    this.client = new TurnClient(
      { username: 'user', password: 'secret' },
      {
        send: (data) => {
          const from = this.socket;
          this.#carry(() => this.turn.receive(SERVER, from, data));
        },
        randomBytes: (length) => Uint8Array.from({ length }, () => Math.floor(this.random() * 256)),
        relayedChanged: () => this.changes++,
        channelBound: (peer) => this.bound.push(peer),
      },
    );
  }

  #carry(run: () => void): void {
    if (!this.isDead && this.random() >= this.loss) this.#events.push({ at: this.now + 10, run });
  }

  #hear(data: Uint8Array): void {
    const received = this.client.receive(data, this.now);
    if (received) this.heard.push(`${received.peer.ip} ${Buffer.from(received.data).toString()}`);
  }

  run(ms: number): void {
    const end = this.now + ms;
    for (; this.now < end; this.now += 10) {
      const due = this.#events.filter(({ at }) => at <= this.now);
      this.#events = this.#events.filter(({ at }) => at > this.now);
      for (const { run } of due) run();
      if (due.length > 0 || this.now >= this.#due) this.#due = this.client.tick(this.now);
    }
  }

  /** As the shell does: what is asked of the machine is followed by a tick. */
  check(): void {
    this.client.check(this.now);
    this.#due = this.now;
  }

  useCredentials(password: string): void {
    this.client.setCredentials({ username: 'user', password }, this.now);
    this.#due = this.now;
  }

  wrap(peer: Endpoint, text: string): Uint8Array | undefined {
    const wrapped = this.client.wrap(peer, Buffer.from(text), this.now);
    this.#due = this.now;
    return wrapped;
  }

  /** Sends to the peer each 5 s. */
  use(ms: number): void {
    for (let passed = 0; passed < ms; passed += 5_000) {
      this.say('keep');
      this.run(5_000);
    }
  }

  /** Whether it left as ChannelData. */
  say(text: string): boolean {
    const wrapped = this.wrap(PEER, text);
    if (wrapped === undefined) return false;
    const { socket } = this;
    this.#carry(() => this.turn.receive(SERVER, socket, wrapped));
    return true;
  }
}

function started(): Bench {
  const bench = new Bench();
  bench.client.start(0);
  bench.run(200);
  return bench;
}

test('an allocation takes two round trips, a channel one, and data passes both ways', () => {
  const bench = new Bench();
  bench.client.start(0);
  bench.run(60);
  expect(bench.client.relayed).toEqual({ ip: SERVER.ip, port: 61_000 });
  expect(bench.say('too early')).toBe(false);
  bench.run(40);
  expect(bench.bound).toEqual([PEER]);
  expect(bench.say('hello')).toBe(true);
  bench.run(40);
  expect(bench.peerGot).toEqual(['hello']);
  bench.turn.receive({ ip: SERVER.ip, port: 61_000 }, PEER, Buffer.from('back'));
  // From another port of the same NAT: no channel, but the permission holds.
  bench.turn.receive({ ip: SERVER.ip, port: 61_000 }, { ...PEER, port: 9 }, Buffer.from('moved'));
  bench.run(40);
  expect(bench.heard).toEqual([`${PEER.ip} back`, `${PEER.ip} moved`]);
});

test('for two hours the allocation and a used channel are renewed before they end, through changes of the nonce', () => {
  const bench = started();
  bench.say('x');
  for (let round = 0; round < 12; round++) {
    bench.turn.nonce = `nonce ${round}`;
    bench.use(600_000);
    expect(bench.client.relayed?.port).toBe(61_000);
    expect(bench.say('on')).toBe(true);
  }
  expect(bench.changes).toBe(1);
});

test('what nobody uses is not renewed', () => {
  const bench = started();
  bench.say('x');
  bench.run(100_000);
  const before = bench.turn.requests;
  bench.run(1_200_000);
  // One Refresh in five minutes, no ChannelBind.
  expect(bench.turn.requests - before).toBeLessThan(6);
});

test('a socket whose address changed gets a new allocation when somebody looks', () => {
  const bench = started();
  bench.socket = { ip: '192.0.2.77', port: 5801 };
  bench.check();
  bench.run(300);
  expect(bench.client.relayed).toEqual({ ip: SERVER.ip, port: 61_001 });
});

test('an allocation of an earlier life of the socket is given back first', () => {
  const bench = new Bench();
  bench.turn.allocations.set('192.0.2.1:5801', {
    client: bench.socket,
    relayed: { ip: SERVER.ip, port: 4 },
    channels: new Map(),
    permitted: new Set(),
  });
  bench.client.start(0);
  bench.run(300);
  expect(bench.client.relayed?.port).toBe(61_000);
});

test('a server that restarts is asked anew; one that is gone is told as such, and used again when it is back', () => {
  const bench = started();
  bench.turn.allocations.clear();
  bench.check();
  bench.run(300);
  expect(bench.client.relayed?.port).toBe(61_001);
  bench.isDead = true;
  bench.check();
  bench.run(6_000);
  expect(bench.client.relayed).toBeNull();
  expect(bench.client.why).toBe('the server does not answer');
  bench.turn.allocations.clear();
  bench.isDead = false;
  bench.run(20_000);
  expect(bench.client.relayed?.port).toBe(61_002);
  expect(bench.client.why).toBeNull();
});

test.each([
  [486, 'the quota of allocations is used up'],
  [508, 'the server has no room for another allocation'],
  [442, 'the server does not relay UDP'],
  [437, 'the server knows another allocation for this socket'],
  [441, 'the allocation belongs to other credentials'],
  [500, 'error 500'],
])('error %i is told as "%s", and the server is not asked more than a few times a minute', (code, why) => {
  const bench = new Bench();
  bench.turn.refuses = code;
  bench.client.start(0);
  bench.run(200);
  expect(bench.client.why).toBe(why);
  bench.run(60_000);
  const before = bench.turn.requests;
  bench.run(600_000);
  expect(bench.turn.requests - before).toBeLessThan(60);
});

test('wrong credentials are told; better ones are used at once', () => {
  const bench = new Bench();
  bench.turn.password = 'another';
  bench.client.start(0);
  bench.run(500);
  expect(bench.client.why).toBe('the credentials are refused');
  bench.useCredentials('another');
  bench.run(500);
  expect(bench.client.relayed).not.toBeNull();
});

test('other credentials for a server that was started anew show at once that it has forgotten us; for one that was not they change nothing', () => {
  const bench = started();
  const { relayed } = bench.client;
  bench.useCredentials('of the next hour');
  bench.run(300);
  expect(bench.client.relayed).toEqual(relayed);
  bench.turn.allocations.clear();
  bench.turn.password = 'of the hour after';
  bench.useCredentials('of the hour after');
  bench.run(300);
  expect(bench.client.relayed?.port).toBe(61_001);
});

test('a peer that the server will not have gets no channel and costs no more requests', () => {
  const bench = started();
  bench.turn.denied.add(PEER.ip);
  bench.say('x');
  bench.run(100);
  const before = bench.turn.requests;
  for (let count = 0; count < 50; count++) {
    expect(bench.say('x')).toBe(false);
    bench.run(1_000);
  }
  expect(bench.turn.requests).toBe(before);
});

test('stopping gives the allocation back', () => {
  const bench = started();
  bench.client.stop(bench.now);
  bench.run(50);
  expect(bench.turn.allocations.size).toBe(0);
  expect(bench.client.relayed).toBeNull();
});

test('messages that nobody asked for, changed, or of strangers to the key, change nothing', () => {
  const bench = started();
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.constantFrom(0x0103, 0x0113, 0x0104, 0x0119, 0x0017, 0x4000),
      (rest, type) => {
        const data = Buffer.concat([Buffer.from([type >> 8, type & 0xff]), rest]);
        if (data.length >= 20) {
          data.writeUInt16BE(data.length - 20, 2);
          data.writeUInt32BE(0x2112_a442, 4);
        }
        expect(bench.client.receive(data, bench.now)).toBe(false);
      },
    ),
  );
  expect(bench.client.relayed?.port).toBe(61_000);
});

test('with a third of all datagrams lost it still gets there, and never binds a number to two peers', () => {
  fc.assert(
    fc.property(fc.nat(10_000), (seed) => {
      const bench = new Bench(seed);
      bench.loss = 0.33;
      bench.client.start(0);
      // An allocation that was lost took its numbers with it.
      const numbers = new Map<string, number>();
      for (let step = 0; step < 40; step++) {
        const peer = { ip: PEER.ip, port: 1 + (step % 7) };
        const allocation = bench.client.relayed?.port;
        const wrapped = bench.wrap(peer, 'x');
        bench.run(1_000);
        const channel = wrapped === undefined ? undefined : decodeChannelData(wrapped)?.channel;
        if (channel === undefined) continue;
        const key = `${allocation} ${channel}`;
        expect(numbers.get(key) ?? peer.port).toBe(peer.port);
        numbers.set(key, peer.port);
      }
      bench.loss = 0;
      // Who failed four times in a row waits for a minute.
      bench.run(75_000);
      expect(bench.client.state).toBe('allocated');
    }),
    { numRuns: 30 },
  );
});
