import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describeError } from '@kith/base';
import { type KithConfig, loadConfig, locateNetwork, type NetworkPlace, parseHostPort } from '@kith/config';
import { canonicalIp, type StatusReport, type UdpEndpoint } from '@kith/protocol';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { readPidFile } from '../pid-file.ts';
import { askStatus } from '../status.ts';
import { PID_FILE } from '../supervisor.ts';
import { formatRtt } from '../units.ts';
import { type Finding, fail, formatFindings, ok, warn } from './finding.ts';
import { askHub, type HubAnswer } from './hub-probe.ts';
import { judgeClock, judgeMtu, judgeNetwork, judgeOverlap, judgeStatus } from './judge.ts';
import { type Asked, askByStream, askByUdp, ownAddresses, viewOf } from './stun-probe.ts';

/** RFC 8489 §18.6. */
const STUN_PORT = 3478;
/** Servers that are asked in one go. */
const MAX_SERVERS = 16;

interface Server {
  type: 'stun' | 'turn';
  transport: 'udp' | 'tcp' | 'tls';
  host: string;
  port: number;
}

/** `kith doctor`: checks what a network needs from this machine, and says what to do where it is not so. */
export async function doctor(file: string, json: boolean, print: (text: string) => void): Promise<ExitCode> {
  const findings = await examine(file);
  print(json ? `${JSON.stringify({ schema: 1, findings })}\n` : formatFindings(findings));
  return findings.some(({ level }) => level === 'fail') ? EXIT.failed : EXIT.ok;
}

async function examine(file: string): Promise<Finding[]> {
  let place: NetworkPlace;
  let config: KithConfig;
  try {
    place = locateNetwork(file);
    ({ config } = loadConfig(file));
  } catch (error) {
    return [fail('config', describeError(error), 'kith config check names everything that is wrong with it')];
  }
  const findings = [ok('config', `${file} is right, network ${config.name}`), ...machine()];
  const report = await running(place);
  const findingsOfStatus = report === undefined ? await atRest(place) : judgeStatus(report);
  const hub = await askHub(config.xmpp);
  const { network } = config;
  findings.push(
    ...findingsOfStatus,
    ...judgeHub(config, hub),
    ...(await judgeServers(config, hub, report)),
    judgeOverlap(network.interface, network.ip4 ?? network.subnet, ownAddresses()),
    ...otherNetworks(place),
  );
  return findings;
}

/** The report of the running network; undefined where it does not run, or its controller does not answer. */
async function running(place: NetworkPlace): Promise<StatusReport | undefined> {
  const { report, code } = await askStatus(place);
  return code === EXIT.notRunning ? undefined : report;
}

function machine(): Finding[] {
  const findings: Finding[] = [];
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    findings.push(ok('tun', '/dev/net/tun can be used'));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    findings.push(
      code === 'ENOENT'
        ? fail('tun', 'there is no /dev/net/tun', 'modprobe tun; in a container: --device /dev/net/tun')
        : fail(
            'tun',
            '/dev/net/tun may not be used',
            'run this as root; in a container: --device /dev/net/tun',
          ),
    );
  }
  const device = defaultDevice();
  if (device === undefined)
    findings.push(warn('route', 'no default route by IPv4', 'right only where IPv6 does all'));
  else findings.push(judgeMtu(device, Number(readFileSync(`/sys/class/net/${device}/mtu`, 'utf8'))));
  return findings;
}

/** The interface of IPv4's default route (proc_net_route: the second field is the destination in hexadecimal). */
function defaultDevice(): string | undefined {
  const rows = readFileSync('/proc/net/route', 'utf8').split('\n').slice(1);
  return rows.map((row) => row.split('\t')).find(([, destination]) => destination === '00000000')?.[0];
}

/** What can be known of a network that does not run. */
async function atRest({ name, api_port }: NetworkPlace): Promise<Finding[]> {
  const isFree = await new Promise<boolean>((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => resolve(false));
    socket.bind(api_port, '127.0.0.1', () => socket.close(() => resolve(true)));
  });
  const rest = ok('network', `${name} does not run; links, TAP and port mapping are looked at when it does`);
  if (isFree) return [rest];
  const advice = 'end what uses it, or name another one (api.port)';
  return [rest, fail('api-port', `UDP port ${api_port} of 127.0.0.1 is taken by another program`, advice)];
}

function judgeHub({ xmpp }: KithConfig, { state, signInMs, servers }: HubAnswer): Finding[] {
  if (signInMs === null) {
    const why = `${xmpp.server}: ${state.detail ?? `still ${state.state} after 10 s`}`;
    return [fail('hub', why, 'docs/TROUBLESHOOTING.md has the messages; the log of the hub may say more')];
  }
  const expires = servers.flatMap(({ expires: end }) => (end === undefined ? [] : [end]));
  return [
    ok('hub', `${xmpp.server}: reached, certificate accepted, signed in within ${Math.round(signInMs)} ms`),
    judgeClock(expires, Date.now()),
  ];
}

async function judgeServers(
  config: KithConfig,
  hub: HubAnswer,
  report: StatusReport | undefined,
): Promise<Finding[]> {
  const servers = serversOf(config, hub).slice(0, MAX_SERVERS);
  if (servers.length === 0) {
    const advice =
      'without STUN and TURN links work within one LAN or from open addresses only (ice.stun, ice.turn)';
    return [warn('stun', 'no STUN or TURN server is known', advice)];
  }
  const udp = servers.filter(({ transport }) => transport === 'udp');
  const addresses = new Map(
    await Promise.all(udp.map(async (server) => [server, await addressesOf(server)] as const)),
  );
  const all = unique([...addresses.values()].flat());
  const [v4, v6] = await Promise.all([
    askByUdp(
      4,
      all.filter(({ ip }) => !ip.includes(':')),
    ),
    askByUdp(
      6,
      all.filter(({ ip }) => ip.includes(':')),
    ),
  ]);
  const answers = [...v4.asked, ...v6.asked];
  const findings = udp.map((server) => judgeUdp(server, addresses.get(server) ?? [], answers));
  findings.push(
    ...(await Promise.all(
      servers
        .filter(({ transport }) => transport !== 'udp')
        .map((server) => judgeStream(server, config.xmpp.ca)),
    )),
  );
  const own = report?.node.network;
  const tunnel = config.network.interface;
  const addressesHere = ownAddresses().flatMap(({ device, ip }) => (device === tunnel ? [] : [ip]));
  // The node's own socket has what matters; another port may fare otherwise.
  return own !== undefined && (own.ip4 !== 'unknown' || own.ip6 !== 'unknown')
    ? [...findings, ...judgeNetwork(own, "by the running node's own socket")]
    : [...findings, ...judgeNetwork(viewOf(addressesHere, v4, v6), 'by a socket of this command')];
}

function serversOf({ ice }: KithConfig, hub: HubAnswer): Server[] {
  const configured = [
    ...ice.stun.map((server) => ({ type: 'stun' as const, transport: 'udp' as const, server })),
    ...ice.turn.map(({ server, transport }) => ({
      type: 'turn' as const,
      transport: transport ?? ('udp' as const),
      server,
    })),
  ].flatMap(({ type, transport, server }): Server[] => {
    const parsed = parseHostPort(server, STUN_PORT);
    return parsed === undefined ? [] : [{ type, transport, ...parsed }];
  });
  if (!ice.from_hub) return configured;
  const named = hub.servers.flatMap(({ type, host, port, transport }): Server[] => {
    if (type === 'turns') return transport === 'udp' ? [] : [{ type: 'turn', transport: 'tls', host, port }];
    return type === 'stun' && transport !== 'udp' ? [] : [{ type, transport, host, port }];
  });
  return [...configured, ...named];
}

async function addressesOf({ host, port }: Server): Promise<UdpEndpoint[]> {
  const found = await lookup(host, { all: true }).catch(() => []);
  return found.flatMap(({ address }) => {
    const ip = canonicalIp(address);
    return ip === undefined ? [] : [{ ip, port }];
  });
}

function unique(endpoints: readonly UdpEndpoint[]): UdpEndpoint[] {
  return [...new Map(endpoints.map((endpoint) => [`${endpoint.ip} ${endpoint.port}`, endpoint])).values()];
}

function judgeUdp(server: Server, addresses: readonly UdpEndpoint[], answers: readonly Asked[]): Finding {
  const name = `${server.host}:${server.port} by UDP`;
  if (addresses.length === 0) {
    return fail(
      server.type,
      `${name}: its name has no address`,
      'look at the name, and at the name servers of this machine',
    );
  }
  const of = answers.filter(({ ip, port }) =>
    addresses.some((address) => address.ip === ip && address.port === port),
  );
  const best = of.flatMap(({ rttMs }) => (rttMs === null ? [] : [rttMs])).sort((a, b) => a - b)[0];
  if (best !== undefined) return ok(server.type, `${name}: answers in ${formatRtt(best)}`);
  return warn(
    server.type,
    `${name}: no answer`,
    'a firewall may drop UDP; links need another server, or TURN over TCP or TLS',
  );
}

async function judgeStream(server: Server, ca: string | undefined): Promise<Finding> {
  const name = `${server.host}:${server.port} by ${server.transport === 'tls' ? 'TLS' : 'TCP'}`;
  try {
    const ms = await askByStream(
      { host: server.host, port: server.port, tls: server.transport === 'tls' },
      ca,
    );
    return ok(server.type, `${name}: answers in ${formatRtt(ms)}`);
  } catch (error) {
    return warn(server.type, `${name}: ${describeError(error)}`, 'needed where UDP is blocked only');
  }
}

/** Other networks of Kith that run here. */
function otherNetworks({ name, runtime_dir }: NetworkPlace): Finding[] {
  const above = dirname(runtime_dir);
  let names: string[];
  try {
    names = readdirSync(above, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
  } catch {
    // Nothing ever ran here, or it is not ours to see.
    return [];
  }
  const others = names.filter(
    (other) => other !== name && readPidFile(join(above, other, PID_FILE)) !== undefined,
  );
  return others.length === 0
    ? []
    : [ok('others', `other networks run on this machine: ${others.join(', ')}`)];
}
