export { EXIT, type ExitCode } from './exit-codes.ts';
export { startTimeOf } from './process-proof.ts';
export { requestStatus, statusSocket } from './status-client.ts';
export { formatStatus } from './status-text.ts';
