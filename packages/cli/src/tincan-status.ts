import { join } from 'node:path';
import { KithError } from '@kith/base';
import type { NetworkPlace } from '@kith/config';
import { buildTincanStatus, TincanCalls } from '@kith/controller';
import type { StatusReport } from '@kith/protocol';

/** What tincan alone can tell of a network whose controller is dead. */
export type TincanStatus = Partial<Pick<StatusReport, 'tincan' | 'tap' | 'links' | 'counters'>>;

/**
 * Asks tincan by its API while the controller is dead: what it gives takes the place of the same parts of the report. Links go on
 * without a controller, and who looks must see them.
 */
export async function readTincanStatus(place: NetworkPlace): Promise<TincanStatus> {
  const calls = await TincanCalls.open(place.api_port);
  try {
    await calls.readSecret(join(place.runtime_dir, 'api.secret'));
    const { local, peers } = await calls.getState('', true);
    return buildTincanStatus(local, peers);
  } catch (error) {
    if (!(error instanceof KithError)) throw error;
    return { tincan: { running: false, instance: null, detail: error.message } };
  } finally {
    calls.close();
  }
}
