import { BugError } from '@kith/base';
import type { Impairment } from './wire-fate.ts';

/** What a wire's process is told, as one JSON argument. */
export interface WireStart {
  /** Names of the two TAP devices that it makes. */
  readonly portName: string;
  readonly hostName: string;
  /** File that it keeps writing its counters to. */
  readonly countersFile: string;
  readonly toHost: Impairment;
  readonly fromHost: Impairment;
  readonly seed: number;
}

/** Frames of one direction since the wire was put in. */
export interface WireCounters {
  passed: number;
  /** Lost on purpose. */
  lost: number;
  /** Held back on purpose; also in `passed` once delivered. */
  overtaken: number;
  /** Dropped because more was under way than the wire holds. */
  overflowed: number;
  /** Not taken by the other end's device, which is down or out of memory. */
  refused: number;
}

/** Reads the argument of a wire's process; BugError WIRE_START when it is not one, since only `Wire` writes it. */
export function parseWireStart(argument: string | undefined): WireStart {
  const value: unknown = JSON.parse(argument ?? 'null');
  if (!isWireStart(value)) throw new BugError('WIRE_START', `a wire cannot be started with ${argument}`);
  return value;
}

function isWireStart(value: unknown): value is WireStart {
  return (
    hasKeys(value, ['portName', 'hostName', 'countersFile'], 'string') &&
    hasKeys(value, ['seed'], 'number') &&
    hasKeys(value, ['toHost', 'fromHost'], 'object') &&
    Object.values(value)
      .filter((part) => typeof part === 'object')
      .every((part) => hasKeys(part, ['delayMs', 'loss', 'reorder', 'reorderMs'], 'number'))
  );
}

function hasKeys(value: unknown, keys: readonly string[], type: string): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const found = new Map(Object.entries(value));
  return keys.every((key) => typeof found.get(key) === type);
}
