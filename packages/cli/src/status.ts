import { join } from 'node:path';
import { SystemError } from '@kith/base';
import { loadConfig, locateNetwork, type NetworkPlace } from '@kith/config';
import type { StatusReport } from '@kith/protocol';
import { CommandFailure, EXIT, type ExitCode } from './exit-codes.ts';
import { readPidFile } from './pid-file.ts';
import { requestStatus, statusSocket } from './status-client.ts';
import { formatEvents, formatStatus } from './status-text.ts';
import { PID_FILE } from './supervisor.ts';

/** What is known of a network, and the exit code that goes with it. */
export interface StatusAnswer {
  readonly report: StatusReport;
  readonly code: ExitCode;
}

/**
 * `kith status`: prints what is, and gives the exit code, the same for text and JSON.
 * @param eventsOf a member or node whose links' story is printed in place of the overview
 */
export async function status(
  file: string,
  json: boolean,
  print: (text: string) => void,
  eventsOf?: string,
): Promise<ExitCode> {
  const { report, code } = await askStatus(locateNetwork(file), eventsOf);
  if (json) print(`${JSON.stringify(report)}\n`);
  else if (code === EXIT.notRunning) print(`network ${report.network} does not run\n`);
  else if (eventsOf === undefined) print(formatStatus(report));
  else return printEvents(report, eventsOf, code, print);
  return code;
}

function printEvents(
  report: StatusReport,
  name: string,
  code: ExitCode,
  print: (text: string) => void,
): ExitCode {
  const told = report.links.filter(({ events }) => events !== undefined);
  if (told.length > 0) {
    print(formatEvents(told));
    return code;
  }
  if (code !== EXIT.ok)
    throw new CommandFailure(code, 'the events are not known: the controller does not answer');
  throw new CommandFailure(EXIT.failed, `no link to ${name}; kith status names them all`);
}

/** Asks the controller; where it does not answer, tells what can be known without it. */
export async function askStatus(place: NetworkPlace, eventsOf?: string): Promise<StatusAnswer> {
  try {
    const report = await requestStatus(statusSocket(place.runtime_dir), undefined, eventsOf);
    return { report, code: report.tincan.running ? EXIT.ok : EXIT.degraded };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.code === 'STATUS_DENIED') {
      throw new CommandFailure(EXIT.noPermission, `${error.message}; try: sudo kith status`);
    }
    const runs = readPidFile(join(place.runtime_dir, PID_FILE)) !== undefined;
    return runs
      ? await withoutController(place, error.message)
      : { report: silentReport(place, null), code: EXIT.notRunning };
  }
}

async function withoutController(place: NetworkPlace, reason: string): Promise<StatusAnswer> {
  const report = silentReport(place, reason);
  const { readTincanStatus } = await import('./tincan-status.ts');
  return { report: { ...report, ...(await readTincanStatus(place)) }, code: EXIT.degraded };
}

/** The report of a network whose controller says nothing: what the config says, and nothing that nobody measured. */
function silentReport(place: NetworkPlace, detail: string | null): StatusReport {
  return {
    schema: 1,
    network: place.name,
    node: { uid: null, ...configuredNode(place.file), mac: null, controller_uptime_ms: 0 },
    hub: { state: 'stopped', server: '', since_ms: 0, detail, retry_in_ms: null },
    tincan: {
      running: false,
      instance: null,
      detail: detail === null ? null : 'it was not asked',
    },
    tap: null,
    members: null,
    links: [],
    counters: {},
  };
}

/** A config that cannot be loaded now (its password's variable is not set here, say) is no reason to say nothing. */
function configuredNode(file: string): { jid: string; ip4: string | null } {
  try {
    const { config } = loadConfig(file);
    return { jid: config.xmpp.jid, ip4: config.network.ip4?.address ?? null };
  } catch {
    return { jid: '', ip4: null };
  }
}
