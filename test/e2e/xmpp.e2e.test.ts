import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createLogger } from '@kith/base';
import {
  type HubState,
  type IncomingSignal,
  type PresenceChange,
  type RosterItem,
  XmppSession,
} from '@kith/controller/xmpp';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Ejabberd, Lab } from '../lab/index.ts';
import { HubWire } from './hub-wire.ts';

const PASSWORD = 'correct horse, battery=staple';

/** A session with a record of what it told. */
class Witness {
  readonly session: XmppSession;
  readonly jid: string;
  readonly states: HubState[] = [];
  readonly sessions: boolean[] = [];
  readonly rosters: RosterItem[][] = [];
  readonly pushes: RosterItem[] = [];
  readonly presences: PresenceChange[] = [];
  readonly signals: IncomingSignal[] = [];
  answer: (signal: IncomingSignal) => void = (signal) => signal.respond();
  #wake: (() => void)[] = [];

  constructor(options: { jid: string; server: string; ca: string; resource: string; password?: string }) {
    const { jid, server, ca, resource, password = PASSWORD } = options;
    this.jid = `${jid}/${resource}`;
    const log = createLogger('xmpp', 'silent');
    this.session = new XmppSession({ jid, password, server, ca, resource, log });
    const record =
      <T>(list: T[]) =>
      (value: T) => {
        list.push(value);
        for (const wake of this.#wake.splice(0)) wake();
      };
    this.session.on('state', record(this.states));
    this.session.on('session', ({ resumed }) => record(this.sessions)(resumed));
    this.session.on('roster', record(this.rosters));
    this.session.on('roster-push', record(this.pushes));
    this.session.on('presence', record(this.presences));
    this.session.on('signal', (signal) => {
      this.answer(signal);
      record(this.signals)(signal);
    });
  }

  /** Waits until events have made `condition` true; the test's own time-out bounds it. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  state(name: HubState['state']): Promise<void> {
    return this.until(() => this.session.state.state === name);
  }

  seen(name: HubState['state']): HubState | undefined {
    return this.states.find(({ state }) => state === name);
  }

  sees(other: Witness): Promise<void> {
    const last = () => this.presences.findLast(({ from }) => from === other.jid);
    return this.until(() => last()?.available === true);
  }
}

describe('the XMPP session with a real ejabberd', () => {
  let lab: Lab;
  let hub: Ejabberd;
  let ca: string;
  const wires: HubWire[] = [];
  let tls: HubWire;
  let starttls: HubWire;
  let web: HubWire;
  const witnesses: Witness[] = [];
  let serial = 0;

  beforeAll(async () => {
    lab = await Lab.create({ name: 'xmpp' });
    hub = await Ejabberd.start(lab);
    ca = await readFile(hub.caFile, 'utf8');
    for (const user of ['alice', 'bob', 'carol', 'dave']) await hub.register(user, PASSWORD);
    await hub.createGroup('net1');
    await hub.addToGroup('alice', 'net1');
    await hub.addToGroup('bob', 'net1');
    const open = async (port: number): Promise<HubWire> => {
      const wire = await HubWire.open(lab, hub.host, port);
      wires.push(wire);
      return wire;
    };
    tls = await open(hub.ports.tls);
    starttls = await open(hub.ports.starttls);
    web = await open(hub.ports.websocket);
  });

  afterEach(async () => {
    await Promise.all(witnesses.splice(0).map(({ session }) => session.stop()));
  });

  afterAll(async () => {
    await Promise.all(wires.map((wire) => wire.close()));
    await lab?.destroy();
  });

  function witness(
    user: string,
    options: { server?: string; password?: string; resource?: string; jid?: string; ca?: string } = {},
  ): Witness {
    const made = new Witness({
      jid: hub.jid(user),
      server: `xmpps://${tls.address}`,
      ca,
      resource: `kith-${serial++}`,
      ...options,
    });
    witnesses.push(made);
    made.session.start();
    return made;
  }

  /** Alice on a wire of her own and Bob, who see each other. */
  async function friends(server?: string): Promise<[Witness, Witness]> {
    const alice = witness('alice', server === undefined ? {} : { server });
    const bob = witness('bob');
    await Promise.all([alice.sees(bob), bob.sees(alice)]);
    await Promise.all([alice.state('online'), bob.state('online')]);
    return [alice, bob];
  }

  test.each([
    ['direct TLS', () => `xmpps://${tls.address}`],
    ['STARTTLS', () => `xmpp://${starttls.address}`],
    ['a WebSocket', () => `wss://${web.address}/ws`],
  ])('over %s signs in, reads the roster, sees presence and swaps signals', async (_name, server) => {
    const [alice, bob] = await friends(server());
    expect(alice.sessions).toEqual([false]);
    expect(alice.rosters).toHaveLength(1);
    expect(alice.rosters[0]).toEqual([
      expect.objectContaining({ jid: hub.jid('bob'), groups: ['net1'], subscription: 'both' }),
    ]);
    const text = `{"k":"<&>'\\" ${'x'.repeat(20_000)}"}`;
    await alice.session.sendSignal(bob.jid, 'con_req', text);
    expect(bob.signals).toEqual([expect.objectContaining({ from: alice.jid, type: 'con_req', data: text })]);
    await bob.session.sendSignal(alice.jid, 'con_resp', 'back');
    expect(alice.signals).toEqual([
      expect.objectContaining({ from: bob.jid, type: 'con_resp', data: 'back' }),
    ]);
    await alice.session.stop();
    await bob.until(() => bob.presences.some(({ from, available }) => from === alice.jid && !available));
    expect(alice.states.map(({ state }) => state)).toEqual(['connecting', 'online', 'stopped']);
  });

  test('tells the sender when a signal is refused, and when nobody is there', async () => {
    const [alice, bob] = await friends();
    bob.answer = (signal) => signal.refuse();
    await expect(alice.session.sendSignal(bob.jid, 'con_req', 'x')).rejects.toMatchObject({
      code: 'XMPP_SIGNAL_REFUSED',
      condition: 'service-unavailable',
    });
    bob.answer = (signal) => {
      signal.refuse('not-allowed');
      signal.respond();
    };
    await expect(alice.session.sendSignal(bob.jid, 'con_req', 'x')).rejects.toMatchObject({
      condition: 'not-allowed',
    });
    bob.answer = () => {
      throw new Error('a fault of the listener');
    };
    await expect(alice.session.sendSignal(bob.jid, 'con_req', 'x')).rejects.toMatchObject({
      condition: 'service-unavailable',
    });
    expect(bob.session.counters.listener_errors).toBe(1);
    await expect(alice.session.sendSignal(`${hub.jid('bob')}/nobody`, 'con_req', 'x')).rejects.toMatchObject({
      code: 'XMPP_SIGNAL_REFUSED',
    });
    bob.answer = (signal) => signal.respond();
    await alice.session.sendSignal(bob.jid, 'con_req', 'still well');
  });

  test("shows a stranger's signal with the stranger's address, and no presence to strangers", async () => {
    const bob = witness('bob');
    const carol = witness('carol');
    await Promise.all([bob.state('online'), carol.state('online')]);
    expect(carol.rosters).toEqual([[]]);
    await carol.session.sendSignal(bob.jid, 'con_req', 'let me in');
    expect(bob.signals[0]?.from).toBe(carol.jid);
    expect(carol.presences).toEqual([]);
    expect(bob.presences.some(({ from }) => from === carol.jid)).toBe(false);
  });

  test('trusts no other authority, and no certificate for another domain', async () => {
    const stranger = witness('alice', { ca: OTHER_CA });
    const overWeb = witness('alice', { ca: OTHER_CA, server: `wss://${web.address}/ws` });
    const elsewhere = witness('alice', { jid: 'alice@other.test', server: `xmpps://${tls.address}` });
    for (const one of [stranger, overWeb, elsewhere]) {
      await one.state('refused');
      expect(one.session.state.detail).toContain('XMPP_CERTIFICATE');
      expect(one.session.state.retryInMs).toBeGreaterThan(55_000);
      expect(one.session.counters.connects).toBe(1);
    }
  });

  test('with a wrong password is refused and does not hammer', async () => {
    for (const server of [`xmpps://${tls.address}`, `wss://${web.address}/ws`]) {
      const alice = witness('alice', { password: 'wrong', server });
      await alice.state('refused');
      expect(alice.session.state.detail).toContain('XMPP_REFUSED');
      expect(alice.session.state.retryInMs).toBeGreaterThan(55_000);
      expect(alice.session.counters.connects).toBe(1);
    }
  });

  test.each([
    ['TLS', () => tls, () => `xmpps://${tls.address}`, (wire: HubWire) => wire.cut()],
    // Only the client sees this break. If ejabberd 23.01 loses a WebSocket in the instant in which it writes to it, its writer waits
    // for a process that is gone (ejabberd_http_ws:route_text has no time-out), and the session cannot be resumed.
    ['a WebSocket', () => web, () => `wss://${web.address}/ws`, (wire: HubWire) => wire.cutClient()],
  ])('over %s goes on with the old session after a break and loses nothing', async (...[, on, at, cut]) => {
    const wire = on();
    const server = at();
    const alice = witness('alice', { server });
    // Bob on a wire that is not cut.
    const bob = witness('bob', { server: `xmpp://${starttls.address}` });
    await Promise.all([alice.sees(bob), bob.sees(alice)]);
    const down = alice.until(() => alice.session.state.state === 'waiting');
    const underWay = Array.from({ length: 20 }, (_, i) =>
      alice.session.sendSignal(bob.jid, 'con_req', `a${i}`),
    );
    cut(wire);
    await down;
    const toAlice = Array.from({ length: 20 }, (_, i) =>
      bob.session.sendSignal(alice.jid, 'con_resp', `b${i}`),
    );
    const whileDown = alice.session.sendSignal(bob.jid, 'con_req', 'down');
    await Promise.all([...underWay, ...toAlice, whileDown]);
    await alice.state('online');
    expect(alice.sessions).toEqual([false, true]);
    expect(alice.session.counters).toMatchObject({
      sessions: 1,
      resumptions: 1,
      stanzas_lost: 0,
      signals_repeated: 0,
    });
    expect(bob.signals.map(({ data }) => data)).toEqual([
      ...Array.from({ length: 20 }, (_, i) => `a${i}`),
      'down',
    ]);
    expect(alice.signals.map(({ data }) => data)).toEqual(Array.from({ length: 20 }, (_, i) => `b${i}`));
    // Nobody was told that Alice was away.
    expect(bob.presences.filter(({ available, from }) => !available && from === alice.jid)).toEqual([]);
    expect(alice.rosters).toHaveLength(1);
  });

  test('notices within 20 s that the connection died without a word', async () => {
    const alice = witness('alice');
    const bob = witness('bob', { server: `xmpp://${starttls.address}` });
    await Promise.all([alice.sees(bob), bob.sees(alice)]);
    tls.freeze();
    const frozenAt = performance.now();
    const signal = bob.session.sendSignal(alice.jid, 'con_req', 'anyone there?');
    await alice.until(() => alice.session.state.state === 'waiting');
    // 7 s of silence and 8 s for the answer; a busy machine may add its own delays.
    expect(performance.now() - frozenAt).toBeLessThan(25_000);
    expect(alice.seen('waiting')?.detail).toContain('XMPP_SILENT');
    await alice.state('online');
    await signal;
    expect(alice.sessions).toEqual([false, true]);
    expect(alice.signals).toHaveLength(1);
  });

  test('after the server was killed signs in afresh and sends what waited', async () => {
    const [alice, bob] = await friends();
    await hub.kill9();
    await Promise.all([alice.state('waiting'), bob.state('waiting')]);
    const arrived = alice.session.sendSignal(bob.jid, 'con_req', 'kept').then(
      () => true,
      () => false,
    );
    bob.answer = (signal) => signal.respond();
    await hub.start();
    await Promise.all([
      alice.until(() => alice.rosters.length === 2),
      bob.until(() => bob.rosters.length === 2),
    ]);
    await Promise.all([alice.state('online'), bob.state('online')]);
    // Bob may have come back after Alice's signal did: then the hub has said so, and the sender tries again.
    if (!(await arrived)) await alice.session.sendSignal(bob.jid, 'con_req', 'kept');
    expect(bob.signals.at(-1)?.data).toBe('kept');
    expect(alice.sessions).toEqual([false, false]);
    expect(alice.rosters[1]).toEqual(alice.rosters[0]);
    await alice.sees(bob);
  });

  test('of two instances of one node the first steps back, and does not fight', async () => {
    const first = witness('alice', { resource: 'kith-same' });
    await first.state('online');
    const second = witness('alice', { resource: 'kith-same' });
    await first.state('conflict');
    await second.state('online');
    expect(first.session.state.retryInMs).toBeGreaterThan(55_000);
    expect(first.session.counters.connects).toBe(1);
    expect(second.states.map(({ state }) => state)).toEqual(['connecting', 'online']);
  });

  test('comes back when an operator ends the session', async () => {
    const dave = witness('dave');
    await dave.state('online');
    expect(await hub.kick('dave')).toBe(1);
    await dave.until(() => dave.sessions.length === 2);
    await dave.state('online');
    expect(dave.sessions).toEqual([false, false]);
    // ejabberd ends a session that is kicked by user name with policy-violation, by resource with conflict.
    expect(dave.seen('waiting')?.detail).toContain('has been kicked');
  });

  test('two machines of one account live side by side and see each other', async () => {
    const one = witness('alice');
    const two = witness('alice');
    await Promise.all([one.sees(two), two.sees(one)]);
    await one.session.sendSignal(two.jid, 'con_req', 'hello myself');
    expect(two.signals[0]?.from).toBe(one.jid);
    expect(one.presences.some(({ from }) => from === one.jid)).toBe(false);
  });

  test('hears at once of members that an operator adds and removes', async () => {
    const alice = witness('alice');
    const dave = witness('dave');
    await Promise.all([alice.state('online'), dave.state('online')]);
    await hub.addToGroup('dave', 'net1');
    await Promise.all([alice.sees(dave), dave.sees(alice)]);
    const item = () => alice.pushes.findLast(({ jid }) => jid === hub.jid('dave'));
    await alice.until(() => item()?.subscription === 'both');
    expect(item()?.groups).toEqual(['net1']);
    await hub.removeFromGroup('dave', 'net1');
    await alice.until(() => item()?.subscription === 'remove');
    await dave.until(() => dave.pushes.some(({ subscription }) => subscription === 'remove'));
    expect(alice.session.counters.pushes_forged).toBe(0);
  });

  test('finds STUN and TURN with credentials', async () => {
    const alice = witness('alice');
    await alice.state('online');
    const services = await alice.session.discoverIceServers();
    const turn = services.find(({ type, transport }) => type === 'turn' && transport === 'udp');
    expect(turn).toMatchObject({ host: hub.host.ip4, port: hub.ports.stun });
    expect(turn?.username).toMatch(/^\d+:/);
    expect(turn?.password).not.toBe('');
    expect(turn?.expires).toBeGreaterThan(Date.now());
    expect(services.some(({ type }) => type === 'stun')).toBe(true);
  });

  test("survives the rate limit that Debian's ejabberd has by default", async () => {
    const slow = await Ejabberd.start(lab, { host: 'slow', domain: 'slow.test', shaper: 'debian' });
    const wire = await HubWire.open(lab, slow.host, slow.ports.tls);
    wires.push(wire);
    for (const user of ['alice', 'bob']) await slow.register(user, PASSWORD);
    const options = { server: `xmpps://${wire.address}`, ca: await readFile(slow.caFile, 'utf8') };
    const alice = witness('alice', { ...options, jid: slow.jid('alice') });
    const bob = witness('bob', { ...options, jid: slow.jid('bob') });
    await Promise.all([alice.state('online'), bob.state('online')]);
    const data = 'x'.repeat(2_000);
    const before = wire.sent;
    await Promise.all(Array.from({ length: 40 }, () => alice.session.sendSignal(bob.jid, 'con_req', data)));
    // Each of them went out once, on the first connection.
    expect(wire.sent - before).toBeLessThan(40 * 2_500);
    expect(alice.session.counters).toMatchObject({ connects: 1, signals_expired: 0 });
    await slow.stop();
  });

  test('leaves nothing that keeps a process alive after stop', async () => {
    const script = `
      import { createLogger } from '@kith/base';
      import { XmppSession } from '@kith/controller/xmpp';
      const { options, ca } = JSON.parse(process.argv[1]);
      const log = createLogger('xmpp', 'silent');
      for (const state of ['connecting', 'online', 'refused']) {
        const password = state === 'refused' ? 'wrong' : options.password;
        const session = new XmppSession({ ...options, password, ca, log });
        await new Promise((resolve) => { session.on('state', (s) => s.state === state && resolve()); session.start(); });
        const signal = session.sendSignal(options.jid + '/x', 'con_req', 'y').catch((error) => error.code);
        await session.stop();
        console.log(state, await signal, process.getActiveResourcesInfo().filter((r) => r === 'Timeout' || r.includes('TCP') || r.includes('TLS')).length);
      }
      const stoppedAt = performance.now();
      process.on('exit', () => console.log(performance.now() - stoppedAt < 5000 ? 'exits' : 'hung'));
    `;
    const options = {
      jid: hub.jid('alice'),
      password: PASSWORD,
      server: `xmpps://${tls.address}`,
      resource: 'kith-exit',
    };
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', script, JSON.stringify({ options, ca })],
      { cwd: new URL('..', import.meta.url).pathname, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let out = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    const [code] = await once(child, 'close');
    expect(code).toBe(0);
    expect(out.split('\n').at(-2)).toBe('exits');
    for (const state of ['connecting', 'refused']) expect(out).toContain(`${state} XMPP_STOPPED`);
  });
});

/** A real self-signed authority that signed nothing here (P-256, valid to 2126). */
const OTHER_CA = `-----BEGIN CERTIFICATE-----
MIIBiDCCAS2gAwIBAgIUIhYDOhsj4ENomk6JMqSVYtFtZ80wCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNU29tZSBvdGhlciBDQTAgFw0yNjExMjEwNDEwMjNaGA8yMTI2
MTAyODA0MTAyM1owGDEWMBQGA1UEAwwNU29tZSBvdGhlciBDQTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABENImEEjpRJ5eI4haSoWh8Cc6TZ1k9zZ9tZIj09M7KdI
eXhnXsDy2vG1qd20btSMdZU7xhs/f9KSKaUwOxBQIeqjUzBRMB0GA1UdDgQWBBSG
PiRlc1w/rlvDzn0y+ETG7P0G3TAfBgNVHSMEGDAWgBSGPiRlc1w/rlvDzn0y+ETG
7P0G3TAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCfn0agTwIh
qUf7RP0b9uDx5v97PQ8ZJ+5kFeaIlbwKFwIhAJh/HcS57xBNwtZ3AaOd06Z1SmVl
BaxmLVBHC7NIbucc
-----END CERTIFICATE-----
`;
