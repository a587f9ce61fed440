import { fileURLToPath } from 'node:url';

export { buildTincanStatus } from './status-report.ts';
export { type Notification, TincanCalls, type TincanState } from './tincan-calls.ts';

/** The file that a supervisor runs with Node, with a start document on its standard input. */
export const CONTROLLER_MAIN: string = fileURLToPath(new URL('./main.js', import.meta.url));

/** The same for the XMPP gateway of `kith tincan`. */
export const GATEWAY_MAIN: string = fileURLToPath(new URL('./gateway/main.js', import.meta.url));
