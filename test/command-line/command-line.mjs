// What the command lines of bench, natlab and soak share. Plain JavaScript, since scripts read it before anything is built.
import { parseArgs } from 'node:util';

/** A command line that cannot be. */
export class UsageError extends Error {}

/**
 * The values of `args`, which may be nothing but `options` (as of util.parseArgs). Throws UsageError.
 * @template {NonNullable<import('node:util').ParseArgsConfig['options']>} T
 * @param {readonly string[]} args
 * @param {T} options
 * @returns {ReturnType<typeof parseArgs<{ args: string[], options: T }>>['values']}
 */
export function readArguments(args, options) {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/**
 * The number that an option names. Throws UsageError.
 * @param {string} option
 * @param {string} text
 * @param {number} min
 * @param {number} max
 * @param {boolean} [whole]
 */
export function numberOf(option, text, min, max, whole = true) {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!(value >= min && value <= max) || (whole && !Number.isInteger(value))) {
    throw new UsageError(
      `${option} ${text}: expected a ${whole ? 'whole ' : ''}number from ${min} to ${max}`,
    );
  }
  return value;
}
