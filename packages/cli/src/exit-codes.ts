/** What `kith` ends with. Stable: scripts and service managers read them. The same in text and JSON. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notRunning: 3,
  degraded: 5,
  noPermission: 8,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The part of `kith --help` that explains them. */
export const EXIT_HELP = `
Exit codes:
  0  done, or the answer is yes
  1  it was tried and failed
  2  the command line or the config is wrong
  3  the network does not run
  5  the network runs, but one of its two processes does not
  8  the rights of another user (mostly root) are needed`;

/** An end of a command that is not success, with what to tell the person on standard error. */
export class CommandFailure extends Error {
  readonly code: ExitCode;

  constructor(code: ExitCode, message: string) {
    super(message);
    this.name = 'CommandFailure';
    this.code = code;
  }
}
