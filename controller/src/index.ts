import { fileURLToPath } from 'node:url';

/** The file that a supervisor runs with Node, with a start document on its standard input. */
export const CONTROLLER_MAIN: string = fileURLToPath(new URL('./main.js', import.meta.url));
