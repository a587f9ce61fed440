import { SystemError } from '@kith/base';

/** What one TCP run of `iperf3 -J` measured. */
export interface TcpFigures {
  /** Mbit/s that arrived at the receiver (10^6 bits). */
  mbps: number;
  /** Length of the run in seconds, as the receiver saw it. */
  seconds: number;
  /** TCP segments that the sender sent again. */
  retransmits: number;
}

/** Reads the JSON document of `iperf3 -c … -J`; SystemError IPERF3_FAILED carries iperf3's own words. */
export function parseTcpRun(output: string): TcpFigures {
  const document = readJson(output);
  const error = at(document, 'error');
  if (typeof error === 'string') throw new SystemError('IPERF3_FAILED', `iperf3: ${error}`);
  const end = at(document, 'end');
  const received = at(end, 'sum_received');
  return {
    mbps: number(received, 'bits_per_second') / 1e6,
    seconds: number(received, 'seconds'),
    retransmits: number(at(end, 'sum_sent'), 'retransmits'),
  };
}

function readJson(output: string): unknown {
  try {
    return JSON.parse(output);
  } catch (cause) {
    throw new SystemError('IPERF3_FAILED', `iperf3 printed no JSON: ${output.trim() || 'no output'}`, {
      cause,
    });
  }
}

function at(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([name]) => name === key)?.[1]
    : undefined;
}

function number(value: unknown, key: string): number {
  const found = at(value, key);
  if (typeof found !== 'number') throw new SystemError('IPERF3_FAILED', `iperf3's result has no ${key}`);
  return found;
}
