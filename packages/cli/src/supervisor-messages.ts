import { z } from 'zod';

/** What a detached supervisor tells the `kith up` that started it, over Node's IPC channel. */
export const supervisorMessage = z.discriminatedUnion('kind', [
  /** Directories made, lock taken, both processes started. */
  z.object({ kind: z.literal('started') }),
  /** It cannot be; the supervisor ends. */
  z.object({ kind: z.literal('refused'), code: z.string(), message: z.string() }),
  /** One of the processes died. */
  z.object({ kind: z.literal('death'), name: z.string(), deaths: z.number(), reason: z.string() }),
]);
export type SupervisorMessage = z.output<typeof supervisorMessage>;
