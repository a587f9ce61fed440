import { readFileSync } from 'node:fs';

/**
 * Whether a CPU with these /proc/cpuinfo contents has AES instructions: `aes` among the `flags` of x86 or the `Features` of
 * arm (Documentation/arch/arm64/elf_hwcaps.rst, HWCAP_AES).
 */
export function cpuInfoHasAes(cpuInfo: string): boolean {
  return cpuInfo.split('\n').some((line) => /^(flags|Features)\s*:/.test(line) && /\saes(\s|$)/.test(line));
}

/** Whether this machine's CPU does; false when it does not say. */
export function machineHasAes(): boolean {
  try {
    return cpuInfoHasAes(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    // Without /proc the slower cipher is the safe guess: it is fast everywhere and never wrong.
    return false;
  }
}
