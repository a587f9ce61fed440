// What happens inside the network namespace of tap.e2e.test.ts: one scenario per process, named by the first argument. The process
// plays the peers behind the links; it prints one JSON line with what it saw, and the test judges that.
import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { EventFd } from '@kith/posix';
import { LINK_ALL, Tap, VIRTIO_HEADER_BYTES } from '@kith/tap';

const SELF_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const PEER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);
const OTHER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 3);
const SELF_IP = Uint8Array.of(172, 31, 0, 1);
const PEER_IP = Uint8Array.of(172, 31, 0, 2);
const SELF_IP6 = Uint8Array.from([0xfd, ...Array(14).fill(0), 1]);
const PEER_IP6 = Uint8Array.from([0xfd, ...Array(14).fill(0), 2]);
const PEER = 7;
const OTHER = 8;
const UDP_PORT = 4000;
const OPTIONS = { name: 'kith0', mac: SELF_MAC, mtu: 1360, ip4: { address: '172.31.0.1', prefixLength: 24 } };

/** @param {unknown} value */
function report(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** @param {string} command @param {...string} args */
function run(command, ...args) {
  return execFileSync(command, args, { encoding: 'utf8' });
}

/** The ones' complement checksum of RFC 1071. @param {Uint8Array} bytes */
function checksum(bytes) {
  let sum = 0;
  for (const [index, byte] of bytes.entries()) sum += index % 2 === 0 ? byte << 8 : byte;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** A UDP datagram to SELF whose payload is `text`; checksum 0 means that there is none (RFC 768). @param {Uint8Array} fromMac @param {Uint8Array} fromIp @param {string} text */
function udpFrame(fromMac, fromIp, text) {
  const payload = Buffer.from(text);
  const udp = [0x10, 0, UDP_PORT >> 8, UDP_PORT & 0xff, 0, 8 + payload.length, 0, 0, ...payload];
  const ip = Uint8Array.from([0x45, 0, 0, 20 + udp.length, 0, 0, 0, 0, 64, 17, 0, 0, ...fromIp, ...SELF_IP]);
  const sum = checksum(ip);
  ip.set([sum >> 8, sum & 0xff], 10);
  return Uint8Array.from([...SELF_MAC, ...fromMac, 8, 0, ...ip, ...udp]);
}

/** Hands a whole frame to TAP, as a chunk of kind 0. @param {Tap} tap @param {number} link @param {Uint8Array} frame */
function deliver(tap, link, frame) {
  return tap.deliver(link, Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, ...frame]), 0, 8 + frame.length);
}

/** Answers ARP requests and pings to PEER_IP as a host behind link PEER would. @param {Tap} tap @param {number[]} tags links that ARP and ICMP went to @param {() => boolean} hearsArp */
function playPeer(tap, tags, hearsArp = () => true) {
  tap.onUplink((link, data, offset, length) => {
    const frame = data.slice(offset + VIRTIO_HEADER_BYTES, offset + length);
    const type = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
    if (
      type === 0x0806 &&
      hearsArp() &&
      frame.subarray(38, 42).every((byte, index) => byte === PEER_IP[index])
    ) {
      tags.push(link);
      const reply = Uint8Array.from([...SELF_MAC, ...PEER_MAC, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
      const arp = Uint8Array.from([...reply, ...PEER_MAC, ...PEER_IP, ...SELF_MAC, ...SELF_IP]);
      deliver(tap, PEER, arp);
    } else if (type === 0x0800 && frame[23] === 1 && frame[34] === 8) {
      tags.push(link);
      const reply = Uint8Array.from(frame);
      reply.set(SELF_MAC, 0);
      reply.set(PEER_MAC, 6);
      reply.set(PEER_IP, 26);
      reply.set(SELF_IP, 30);
      reply[34] = 0;
      reply.set([0, 0], 36);
      const sum = checksum(reply.subarray(34));
      reply.set([sum >> 8, sum & 0xff], 36);
      deliver(tap, PEER, reply);
    }
  });
}

/** @param {unknown} error */
function codeOf(error) {
  return error instanceof Error && 'code' in error ? error.code : String(error);
}

/** @type {Record<string, () => Promise<void>>} */
const scenarios = {
  async ping() {
    const tap = await Tap.open(OPTIONS);
    /** @type {number[]} */
    const tags = [];
    playPeer(tap, tags);
    const device = JSON.parse(run('ip', '-j', 'addr', 'show', 'dev', 'kith0'))[0];
    const acceptsRouters = readFileSync('/proc/sys/net/ipv6/conf/kith0/accept_ra', 'utf8').trim();
    const isAnswered = await pinged('-c', '3', '-i', '0.2', '172.31.0.2');
    const large = await pinged('-c', '1', '-M', 'do', '-s', String(1360 - 28), '172.31.0.2');
    const owner = tap.owner('mac', PEER_MAC);
    const counters = tap.counters();
    await tap.close();
    report({
      device: { mac: device.address, mtu: device.mtu, flags: device.flags, ip4: device.addr_info[0]?.local },
      acceptsRouters,
      isAnswered,
      large,
      floods: tags.filter((tag) => tag === LINK_ALL).length,
      unicasts: tags.filter((tag) => tag === PEER).length,
      owner,
      counters,
      isGone: !run('ip', 'link').includes('kith0'),
    });
  },

  async member() {
    const tap = await Tap.open(OPTIONS);
    tap.setMode({ layer: 3, onDemand: true });
    /** @type {number[]} */
    const tags = [];
    playPeer(tap, tags);
    /** @type {string[]} */
    const wanted = [];
    tap.onWanted((uid) => wanted.push(uid));
    tap.setMember({ uid: 'peer', mac: PEER_MAC, ip4: PEER_IP, ip6: PEER_IP6 });
    while (tap.owner('mac', PEER_MAC) === undefined) await pause(1);
    await tap.setAddress6({ address: SELF_IP6, prefixLength: 64 });
    // Three pings within 0.4 s; the link comes up when they wait.
    const pings = pinged('-c', '3', '-i', '0.2', '-W', '3', '172.31.0.2');
    while (tap.counters().held_frames !== 3) await pause(5);
    const heldAt = performance.now();
    const before = { tags: [...tags], wanted: [...wanted] };
    tap.bindLink(PEER, { mac: PEER_MAC, ip4: PEER_IP, ip6: PEER_IP6 });
    const isAnswered = await pings;
    const answeredAfterMs = performance.now() - heldAt;
    // Who answers for the IPv6 address is seen in the kernel's neighbour table.
    await pinged('-6', '-c', '1', '-W', '1', 'fd00::2');
    const neighbour6 = run('ip', '-6', 'neigh', 'show', 'fd00::2', 'dev', 'kith0').trim();
    tap.unbindLink(PEER);
    // The ingress worker may not have come to it yet.
    while (tap.owner('mac', PEER_MAC) === PEER) await pause(1);
    const isLost = !(await pinged('-c', '1', '-W', '1', '172.31.0.2'));
    const counters = tap.counters();
    tap.removeMember('peer');
    run('ip', 'neigh', 'flush', 'dev', 'kith0');
    const isUnknown = !(await pinged('-c', '1', '-W', '1', '172.31.0.2'));
    report({
      before,
      isAnswered,
      answeredAfterMs,
      neighbour6,
      isLost,
      isUnknown,
      counters,
      later: tap.counters(),
      links: tags,
    });
    await tap.close();
  },

  async announced() {
    const tap = await Tap.open(OPTIONS);
    /** @type {number[]} */
    const tags = [];
    // The kernel's first ARP request is lost, as it is when there is no link yet.
    let isUp = false;
    let requests = 0;
    playPeer(tap, tags, () => {
      requests++;
      return isUp;
    });
    const started = performance.now();
    const ping = pinged('-c', '1', '-W', '5', '172.31.0.2');
    while (requests === 0) await pause(1);
    const askedAfterMs = performance.now() - started;
    const boundAt = performance.now();
    isUp = true;
    tap.bindLink(PEER, { mac: PEER_MAC, ip4: PEER_IP, ip6: null });
    const isAnswered = await ping;
    report({ isAnswered, askedAfterMs, answeredAfterMs: performance.now() - boundAt, unicasts: tags });
    await tap.close();
  },

  async moved() {
    const tap = await Tap.open(OPTIONS);
    playPeer(tap, []);
    // What a fast machine does within the kernel's one second, a slow one does within a minute.
    writeFileSync('/proc/sys/net/ipv4/neigh/kith0/locktime', '6000');
    const neighbour = () => run('ip', 'neigh', 'show', '172.31.0.2', 'dev', 'kith0').trim();
    tap.bindLink(PEER, { mac: PEER_MAC, ip4: PEER_IP, ip6: null });
    await pinged('-c', '1', '172.31.0.2');
    const before = neighbour();
    tap.unbindLink(PEER);
    tap.bindLink(OTHER, { mac: OTHER_MAC, ip4: PEER_IP, ip6: null });
    const until = performance.now() + 5_000;
    // Its state may change as well, and says nothing.
    while (!neighbour().includes('lladdr 02:00:00:00:00:03') && performance.now() < until) await pause(5);
    report({ before, after: neighbour() });
    await tap.close();
  },

  async spoof() {
    const tap = await Tap.open(OPTIONS);
    const socket = createSocket('udp4').bind(UDP_PORT, '172.31.0.1');
    await once(socket, 'listening');
    /** @type {string[]} */
    const texts = [];
    const last = new Promise((resolve) => {
      socket.on('message', (message) => {
        texts.push(message.toString());
        if (texts.at(-1) === 'the end') resolve(undefined);
      });
    });
    /** @param {number} link @param {Uint8Array} mac @param {Uint8Array} ip @param {string} text */
    const send = (link, mac, ip, text) => {
      const frame = udpFrame(mac, ip, text);
      deliver(tap, link, frame);
    };
    send(OTHER, OTHER_MAC, PEER_IP, 'nobody owns it yet');
    tap.bind(PEER, 'ip4', PEER_IP);
    tap.bind(PEER, 'mac', PEER_MAC);
    tap.bind(OTHER, 'ip4', PEER_IP);
    send(OTHER, OTHER_MAC, PEER_IP, 'stolen IP');
    send(OTHER, PEER_MAC, Uint8Array.of(172, 31, 0, 3), 'stolen MAC');
    send(OTHER, SELF_MAC, Uint8Array.of(172, 31, 0, 3), 'our own MAC');
    send(PEER, PEER_MAC, PEER_IP, 'owner');
    tap.unbindLink(PEER);
    const cut = udpFrame(PEER_MAC, PEER_IP, 'cut');
    deliver(tap, PEER, cut.subarray(0, -1));
    send(OTHER, OTHER_MAC, PEER_IP, 'the end');
    await last;
    socket.close();
    // The last datagram may be here before its writer has counted it.
    while ((tap.counters().tap_rx_frames ?? 0) < 3) await pause(5);
    report({ texts, counters: tap.counters() });
    await tap.close();
  },

  async idle() {
    const tap = await Tap.open(OPTIONS);
    playPeer(tap, []);
    // The kernel announces its new IPv6 address for a while.
    await pause(3000);
    const before = process.cpuUsage();
    await pause(3000);
    const used = process.cpuUsage(before);
    await tap.close();
    report({ cpuMs: (used.user + used.system) / 1000 });
  },

  async exit() {
    await Tap.open(OPTIONS);
    report('open');
    process.exit(3);
  },

  async throw() {
    await Tap.open(OPTIONS);
    report('open');
    setImmediate(() => {
      throw new Error('on purpose');
    });
  },

  async hang() {
    await Tap.open(OPTIONS);
    report('open');
  },

  async taken() {
    const tap = await Tap.open(OPTIONS);
    const code = await Tap.open(OPTIONS).then(() => 'opened', codeOf);
    await tap.close();
    await tap.close();
    report({ code });
  },

  async unprivileged() {
    // 65534 is nobody on every Linux.
    process.setgid?.(65_534);
    process.setuid?.(65_534);
    report({ code: await Tap.open(OPTIONS).then(() => 'opened', codeOf) });
  },

  async deleted() {
    const tap = await Tap.open(OPTIONS);
    const failure = new Promise((resolve) => tap.onFailure(resolve));
    run('ip', 'link', 'delete', 'kith0');
    const code = codeOf(await failure);
    await tap.close();
    report({ code });
  },

  async down() {
    const tap = await Tap.open(OPTIONS);
    let hasFailed = false;
    tap.onFailure(() => {
      hasFailed = true;
    });
    run('ip', 'link', 'set', 'kith0', 'down');
    const frame = udpFrame(PEER_MAC, PEER_IP, 'lost');
    deliver(tap, PEER, frame);
    while (tap.counters().dropped_tap_write === 0) await pause(5);
    run('ip', 'link', 'set', 'kith0', 'up');
    playPeer(tap, []);
    const isAnswered = await pinged('-c', '1', '-W', '5', '172.31.0.2');
    await tap.close();
    report({ isAnswered, hasFailed });
  },

  async resized() {
    const tap = await Tap.open(OPTIONS);
    playPeer(tap, []);
    tap.bind(PEER, 'mac', PEER_MAC);
    run('ip', 'link', 'set', 'kith0', 'mtu', '9000');
    const large = await pinged('-c', '1', '-W', '1', '-s', '4000', '172.31.0.2');
    const small = await pinged('-c', '1', '-W', '5', '-s', '1000', '172.31.0.2');
    report({ large, small, dropped: tap.counters().dropped_oversize });
    await tap.close();
  },

  async address() {
    const tap = await Tap.open({ ...OPTIONS, ip4: { address: '172.31.0.200', prefixLength: 16 } });
    await tap.setAddress(OPTIONS.ip4);
    const addresses = JSON.parse(run('ip', '-j', '-4', 'addr', 'show', 'dev', 'kith0'))[0].addr_info;
    playPeer(tap, []);
    const isAnswered = await pinged('-c', '1', '-W', '5', '172.31.0.2');
    const owners = [SELF_IP, Uint8Array.of(172, 31, 0, 200)].map((ip) => tap.owner('ip4', ip) ?? null);
    await tap.close();
    report({
      addresses: addresses.map(
        (/** @type {{ local: string, prefixlen: number }} */ { local, prefixlen }) => `${local}/${prefixlen}`,
      ),
      isAnswered,
      owners,
    });
  },

  async address6() {
    const tap = await Tap.open(OPTIONS);
    /** @returns {string[]} Global addresses, with a mark while the kernel does not use them. */
    const addresses = () => {
      const text = run('ip', '-o', '-6', 'addr', 'show', 'dev', 'kith0', 'scope', 'global');
      return [...text.matchAll(/inet6 (\S+)(?:.*( tentative))?/g)].map(([, ip, mark = '']) => ip + mark);
    };
    const seen = [];
    await tap.setAddress6({ address: PEER_IP6, prefixLength: 48 });
    seen.push(addresses());
    await tap.setAddress6({ address: SELF_IP6, prefixLength: 64 });
    seen.push(addresses());
    // Bound by the ingress worker, which may not have come to it yet.
    while (tap.owner('ip6', SELF_IP6) === undefined) await pause(1);
    const owners = [tap.owner('ip6', SELF_IP6), tap.owner('ip6', PEER_IP6) ?? null];
    run('ip', '-6', 'addr', 'del', 'fd00::1/64', 'dev', 'kith0');
    await tap.setAddress6(null);
    seen.push(addresses());
    run('sysctl', '-qw', 'net.ipv6.conf.kith0.disable_ipv6=1');
    const code = await tap.setAddress6({ address: SELF_IP6, prefixLength: 64 }).then(() => 'set', codeOf);
    const wrong = await tap.setAddress6({ address: SELF_IP, prefixLength: 64 }).then(() => 'set', codeOf);
    await tap.close();
    report({ seen, owners, code, wrong });
  },

  async watched() {
    const tap = await Tap.open(OPTIONS);
    playPeer(tap, []);
    // What goes through the worker shows that it has looked.
    const look = () => pinged('-c', '1', '-W', '5', '172.31.0.2');
    const bell = EventFd.create();
    let told = 0;
    const tell = () => told++;
    bell.signal();
    tap.whenReadable(bell.fd, tell);
    while (told === 0) await pause(1);
    // It can still be read, and is watched no more.
    await look();
    const once = told;
    bell.clear();
    tap.whenReadable(bell.fd, tell);
    await look();
    const afterClear = told;
    bell.signal();
    while (told === afterClear) await pause(1);
    // A descriptor that is closed counts as one that can be read.
    bell.clear();
    const other = EventFd.create();
    other.close();
    tap.whenReadable(other.fd, tell);
    while (told === afterClear + 1) await pause(1);
    report({ once, afterClear, told });
    bell.close();
    await tap.close();
  },

  async overload() {
    const tap = await Tap.open({
      ...OPTIONS,
      // A read of a super-frame needs room that ping could not fill.
      offload: { tso: false },
      uplinkBytes: 32_768,
      downlinkBytes: 32_768,
    });
    playPeer(tap, []);
    run(
      'ip',
      'neigh',
      'replace',
      '172.31.0.2',
      'lladdr',
      '02:00:00:00:00:02',
      'dev',
      'kith0',
      'nud',
      'permanent',
    );
    tap.bind(PEER, 'mac', PEER_MAC);
    // Synchronously, so that this thread drains nothing meanwhile: 200 packets of 1 300 bytes into a ring of 32 KiB.
    run('sh', '-c', 'ping -q -l 100 -c 200 -i 0.002 -W 1 -s 1300 172.31.0.2 || true');
    const uplinkDrops = tap.counters().dropped_uplink_full;
    const chunk = new Uint8Array(1300);
    let refused = 0;
    while (refused < 1000) if (!tap.deliver(PEER, chunk, 0, chunk.length)) refused++;
    const isAnswered = await pinged('-c', '3', '-i', '0.2', '-W', '5', '172.31.0.2');
    report({ uplinkDrops, downlinkDrops: tap.counters().dropped_downlink_full, isAnswered });
    await tap.close();
  },

  async readOnlySettings() {
    const tap = await Tap.open(OPTIONS);
    report({ acceptsRouters: tap.acceptsRouters });
    await tap.close();
  },

  async reopen() {
    await (await Tap.open(OPTIONS)).close();
    const before = readdirSync('/proc/self/fd').length;
    for (let round = 0; round < 10; round++) {
      const tap = await Tap.open(OPTIONS);
      tap.onUplink(() => undefined);
      await tap.close();
    }
    report({ leaked: readdirSync('/proc/self/fd').length - before });
  },
};

/** Whether a ping was answered; asynchronous, since this process plays the host that answers. @param {...string} args */
async function pinged(...args) {
  const [code] = await once(spawn('ping', ['-n', '-q', ...args], { stdio: 'ignore' }), 'exit');
  return code === 0;
}

await scenarios[process.argv[2] ?? '']?.();
