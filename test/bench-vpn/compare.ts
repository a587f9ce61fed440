import { ConfigError, describeError, SystemError } from '@kith/base';
import { Ejabberd, execute, type Host, type Lab, type Say, Wire } from '../lab/index.ts';
import { type Measured, measure } from './measure.ts';
import type { BenchOptions } from './options.mjs';
import { Results } from './results.ts';
import type { Session, Stage, System } from './system.ts';
import { SYSTEMS } from './systems/index.ts';
import { GROUP } from './systems/kith.ts';
import { type Course, tcp } from './workload.ts';

/**
 * Two empty hosts on the lab's switch.
 * @param congestionControl of both; set for the namespace, so that no socket begins with the machine's own: a socket that began with
 *   BBR is paced by timers for good, whatever it is told later
 */
export async function makeStage(lab: Lab, congestionControl: string): Promise<Stage> {
  const client = await lab.host('alice');
  const server = await lab.host('bob');
  for (const host of [client, server]) {
    // Else a connection begins with what the kernel remembers of the last one to that address (tcp_metrics), which was another system's, and after its
    // losses grows as slowly as that one had to.
    await set(host, 'net.ipv4.tcp_no_metrics_save=1');
    await set(host, `net.ipv4.tcp_congestion_control=${congestionControl}`).catch((error: unknown) => {
      // A namespace may choose among those only that the machine allows to everybody (tcp(7), tcp_allowed_congestion_control).
      const cure = `net.ipv4.tcp_allowed_congestion_control must name ${congestionControl}, or another be chosen by --tcp`;
      throw new ConfigError('TCP_UNKNOWN', `no TCP ${congestionControl} for the hosts: ${cure}`, {
        field: '--tcp',
        cause: error,
      });
    });
  }
  let hub: Promise<Ejabberd> | undefined;
  return {
    lab,
    client,
    server,
    hub: () => {
      hub ??= startHub(lab, [client.name, server.name]);
      return hub;
    },
  };
}

async function set(host: Host, setting: string): Promise<void> {
  const { code, stderr } = await host.exec('sysctl', ['-q', '-w', setting]);
  if (code !== 0) throw new SystemError('SYSCTL_REFUSED', stderr.trim());
}

async function startHub(lab: Lab, users: readonly string[]): Promise<Ejabberd> {
  const hub = await Ejabberd.start(lab);
  await hub.createGroup(GROUP);
  for (const user of users) {
    await hub.register(user, user);
    await hub.addToGroup(user, GROUP);
  }
  return hub;
}

/** Every system in turn, round by round, on the same two hosts and the same link. */
export async function compare(lab: Lab, options: BenchOptions, say: Say): Promise<Results> {
  const stage = await makeStage(lab, options.tcp);
  return inTurns(stage, options, say, (course) => measure(course, options.seconds));
}

/** The same with one TCP stream over a wire that loses and delays. */
export async function compareOverWire(lab: Lab, options: BenchOptions, say: Say): Promise<Results> {
  const stage = await makeStage(lab, options.tcp);
  const direction = { delayMs: options.delayMs / 2, loss: options.loss };
  const wire = await Wire.insert(lab, stage.server, {
    ...{ toHost: direction, fromHost: direction, seed: options.seed },
  });
  say(
    `The wire loses ${options.loss * 100} % of all packets each way and takes ${options.delayMs} ms for a round trip`,
  );
  const results = await inTurns(stage, options, say, async (course) => {
    const { mbps, retransmits } = await tcp(course, options.seconds, 1);
    return { figures: { tcp1_mbps: mbps, tcp1_retransmits: retransmits }, problems: [] };
  });
  const { to_host: there, from_host: back } = await wire.counters();
  say(
    `The wire lost ${there.lost} of ${there.lost + there.passed} packets there and ${back.lost} of ${back.lost + back.passed} back; ${there.overflowed + back.overflowed + there.refused + back.refused} more were dropped`,
  );
  return results;
}

async function inTurns(
  stage: Stage,
  options: BenchOptions,
  say: Say,
  take: (course: Course) => Promise<Measured>,
): Promise<Results> {
  const results = new Results();
  const broken = new Set<string>();
  for (let round = 1; round <= options.rounds; round++) {
    say(`\nRound ${round} of ${options.rounds}`);
    for (const name of options.only) {
      if (broken.has(name)) continue;
      const began = performance.now();
      const { figures, problems } = await turn(stage, SYSTEMS[name], take);
      results.add(name, figures, problems);
      // What could not start will not start next time either.
      if (Object.keys(figures).length === 0) broken.add(name);
      say(`  ${name.padEnd(14)}  ${summary(figures, problems, performance.now() - began)}`);
    }
  }
  return results;
}

function summary({ tcp1_mbps: mbps }: Measured['figures'], problems: readonly string[], ms: number): string {
  const figures = mbps === undefined ? '' : `${mbps.toFixed(0)} Mbit/s  `;
  const trouble = problems.length === 0 ? '' : `  ! ${problems.join('; ').split('\n')[0]}`;
  return `${figures}(${Math.round(ms / 1000)} s)${trouble}`;
}

async function turn(
  stage: Stage,
  system: System,
  take: (course: Course) => Promise<Measured>,
): Promise<Measured> {
  const session = await begin(stage, system);
  if (typeof session === 'string') return { figures: {}, problems: [session] };
  const { client, server } = stage;
  const measured = await take({ client, server, serverAddress: session.serverAddress }).catch((error) => ({
    figures: {},
    problems: [describeError(error)],
  }));
  try {
    await session.stop();
  } catch (error) {
    measured.problems.push(`ending it: ${describeError(error)}`);
  }
  await clear(stage);
  return measured;
}

/** The session, or why there is none. */
export async function begin(stage: Stage, system: System): Promise<Session | string> {
  const { debian } = system;
  if (debian !== undefined && (await execute('sh', ['-c', `command -v ${debian.program}`])).code !== 0) {
    return `not installed (Debian package ${debian.name})`;
  }
  try {
    return await system.start(stage);
  } catch (error) {
    await clear(stage);
    return describeError(error);
  }
}

/** The next system must find nothing of this one, however badly it ended. */
async function clear({ client, server }: Stage): Promise<void> {
  for (const host of [client, server]) {
    for (const pid of await host.pids()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself in between.
      }
    }
  }
}
