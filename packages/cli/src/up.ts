import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { COMPILE_LATE, describeError, monotonicMs } from '@kith/base';
import { type KithConfig, loadConfig } from '@kith/config';
import type { StatusReport } from '@kith/protocol';
import { makeDirectories } from './directories.ts';
import { CommandFailure, EXIT } from './exit-codes.ts';
import { openLog } from './log-sink.ts';
import { readPidFile } from './pid-file.ts';
import { requestStatus, statusSocket } from './status-client.ts';
import { LOG_FILE, PID_FILE, Supervisor } from './supervisor.ts';
import { supervisorMessage } from './supervisor-messages.ts';

/** States in which the hub, or what is in the way to it, has given an answer. */
const HUB_SPOKE: ReadonlySet<string> = new Set(['online', 'waiting', 'refused', 'conflict']);
const SUPERVISOR_MAIN = fileURLToPath(new URL('./supervisor-main.js', import.meta.url));
/**
 * Both processes start in about a second; a small board with a slow card takes several, and a machine that runs thirty other networks
 * more than twenty. Nobody waits so long for a start that has failed: a process that dies or stands still ends it.
 */
const START_MS = 60_000;
/**
 * What tincan says is wrong for so long will not mend itself: it tries every two seconds, and an earlier network that is just ending
 * is gone by then.
 */
const HOPELESS_MS = 5000;
/** How long `up` waits for the first word of the hub, so that a wrong password shows at once; the network is up without it. */
const HUB_WORD_MS = 3000;
/** Short beside the start itself, long beside a connection attempt. A machine on which it takes seconds has better to do than to answer. */
const POLL_MS = 50;
const POLL_GROWTH = 1.25;
const MAX_POLL_MS = 500;
/** One death may be an accident, and is mended at once. Two in a start mean that it cannot work. */
const DEATHS_TO_GIVE_UP = 2;
/** A supervisor ends its processes within 5 s. */
const END_MS = 8000;

/** `kith up`: starts a network and waits until it runs. Writes one line of what runs to `print`, notices to `warn`. */
export async function up(
  file: string,
  foreground: boolean,
  print: (line: string) => void,
  warn: (line: string) => void,
): Promise<void> {
  // Before the config is read: who may not read it either shall hear the reason that matters.
  if (process.geteuid?.() !== 0) {
    throw new CommandFailure(
      EXIT.noPermission,
      'kith up needs root, to make a network interface; try: sudo kith up',
    );
  }
  const { config, notices } = loadConfig(file);
  const running = readPidFile(join(config.process.runtime_dir, PID_FILE));
  if (running !== undefined) {
    throw new CommandFailure(EXIT.failed, `network ${config.name} runs already (supervisor ${running.pid})`);
  }
  for (const notice of notices) warn(notice);
  if (foreground) return await runHere(file);
  const supervisor = spawnSupervisor(config);
  try {
    print(upLine(config, await waitUntilUp(config, supervisor)));
  } catch (error) {
    await endSupervisor(supervisor);
    throw error;
  }
  supervisor.disconnect();
  supervisor.unref();
}

/** Runs the supervisor in this process until a signal ends it. */
async function runHere(file: string): Promise<void> {
  const { networkProcesses } = await import('./processes.ts');
  const supervisor = Supervisor.start(file, {
    foreground: true,
    onDeath: () => {},
    children: networkProcesses,
  });
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
  await supervisor.stop();
}

function spawnSupervisor(config: KithConfig): ChildProcess {
  const { uid, gid, runtime_dir } = config.process;
  makeDirectories(config, { uid, gid });
  // What Node itself has to say when it crashes goes where the log goes. The terminal must not be kept: whoever waits for the end of
  // our output (a script, ssh) would wait for the end of the network.
  const log = openLog(join(runtime_dir, LOG_FILE));
  try {
    return spawn(process.execPath, [COMPILE_LATE, SUPERVISOR_MAIN, config.file], {
      cwd: '/',
      // A session of its own: it outlives this terminal.
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    });
  } finally {
    closeSync(log);
  }
}

async function waitUntilUp(config: KithConfig, supervisor: ChildProcess): Promise<StatusReport> {
  const log = join(config.process.runtime_dir, LOG_FILE);
  let failure: CommandFailure | undefined;
  let started = false;
  supervisor.on('message', (raw) => {
    const { data } = supervisorMessage.safeParse(raw);
    if (data?.kind === 'started') started = true;
    if (data?.kind === 'refused') failure ??= new CommandFailure(EXIT.failed, data.message);
    if (data?.kind === 'death' && data.deaths >= DEATHS_TO_GIVE_UP) {
      failure ??= new CommandFailure(EXIT.failed, `${data.name} ${data.reason}; log: ${log}`);
    }
  });
  supervisor.on('exit', (code, signal) => {
    failure ??= new CommandFailure(
      EXIT.failed,
      `the supervisor ended (${signal ?? `code ${code}`}); log: ${log}`,
    );
  });
  const began = monotonicMs();
  let poll = POLL_MS;
  let last = 'the supervisor does not start';
  let upSince: number | undefined;
  let troubledSince: number | undefined;
  while (monotonicMs() - began < START_MS) {
    if (failure !== undefined) throw failure;
    const now = monotonicMs();
    if (started) {
      try {
        const report = await requestStatus(statusSocket(config.process.runtime_dir));
        // A controller that is older than this start belongs to a supervisor that was killed, and is about to end.
        const ours = report.node.controller_uptime_ms <= now - began;
        if (ours && report.tincan.running) {
          upSince ??= now;
          if (HUB_SPOKE.has(report.hub.state) || now - upSince >= HUB_WORD_MS) return report;
        }
        if (ours && report.tap?.state === 'down' && report.tincan.detail !== null) {
          troubledSince ??= now;
          if (now - troubledSince >= HOPELESS_MS)
            throw new CommandFailure(EXIT.failed, `${report.tincan.detail}; log: ${log}`);
        }
        last = !ours
          ? 'the controller of an earlier start still runs'
          : `tincan does not run${report.tincan.detail === null ? '' : `: ${report.tincan.detail}`}`;
      } catch (error) {
        if (error instanceof CommandFailure) throw error;
        last = describeError(error);
      }
    }
    await pause(poll);
    poll = Math.min(poll * POLL_GROWTH, MAX_POLL_MS);
  }
  throw new CommandFailure(
    EXIT.failed,
    `network ${config.name} is not up after ${START_MS / 1000} s: ${last}; log: ${log}`,
  );
}

function upLine(config: KithConfig, report: StatusReport): string {
  const { ip4, subnet, interface: name } = config.network;
  const log = join(config.process.runtime_dir, LOG_FILE);
  const address = `${ip4?.address ?? report.node.ip4 ?? 'no address yet'}/${subnet.prefix_length}`;
  const { state, detail } = report.hub;
  const hub = detail === null ? state : `${state} (${detail})`;
  return `network ${config.name} is up: ${address} on ${name}, hub ${hub}; log: ${log}`;
}

/** Ends a supervisor that did not get its network up, so that nothing half-started is left. */
async function endSupervisor(supervisor: ChildProcess): Promise<void> {
  if (supervisor.exitCode !== null || supervisor.signalCode !== null) return;
  const gone = once(supervisor, 'exit');
  supervisor.kill('SIGTERM');
  const timer = setTimeout(() => supervisor.kill('SIGKILL'), END_MS);
  await gone;
  clearTimeout(timer);
}
