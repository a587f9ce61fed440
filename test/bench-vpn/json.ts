import { SystemError } from '@kith/base';

/** The number at a path of keys in a parsed JSON document of iperf3; SystemError IPERF3_FAILED when it is not there. */
export function numberAt(document: unknown, ...path: string[]): number {
  let value = document;
  for (const key of path) {
    value =
      typeof value === 'object' && value !== null
        ? Object.entries(value).find(([name]) => name === key)?.[1]
        : undefined;
  }
  if (typeof value !== 'number')
    throw new SystemError('IPERF3_FAILED', `iperf3's result has no ${path.join('.')}`);
  return value;
}
