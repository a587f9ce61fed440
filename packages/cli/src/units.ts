const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** Bytes for people: three figures at most, like `0 B`, `1.5 KiB`, `27.3 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 1023.5 would be printed as 1024 of the smaller unit.
  while (value >= 1023.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit > 0 && value < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit] ?? ''}`;
}

/** Milliseconds of a round trip for people: `0.24 ms`, `3.1 ms`, `128 ms`. */
export function formatRtt(ms: number): string {
  if (ms < 0.995) return `${ms.toFixed(2)} ms`;
  return `${ms.toFixed(ms < 9.95 ? 1 : 0)} ms`;
}

/** A stretch of time for people, its two largest units: `0 s`, `42 s`, `3 min 5 s`, `2 h 0 min`, `4 d 7 h`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}
