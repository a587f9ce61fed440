import { join } from 'node:path';
import { createLogger, describeError, type Logger, readStartDocument, watchParent } from '@kith/base';
import { type ControllerStart, parseControllerStart } from '@kith/config';
import { AddressStore } from './addressing/index.ts';
import { Controller } from './controller.ts';
import { KnownNodes } from './known-nodes.ts';
import { dropPrivileges } from './privileges.ts';
import { StatusServer } from './status-server.ts';

const EXIT_FAILED = 1;

async function run(start: ControllerStart, log: Logger): Promise<void> {
  const known = new KnownNodes(join(start.state_dir, 'controller', 'nodes.json'), log);
  await known.load();
  const store = new AddressStore(join(start.state_dir, 'controller', 'addresses.json'), log);
  const controller = new Controller(
    start.config,
    start.api_port,
    join(start.runtime_dir, 'api.secret'),
    known,
    { store, remembered: await store.load() },
    log,
  );
  const socket = join(start.runtime_dir, 'controller', 'status.sock');
  const status = await StatusServer.listen(socket, controller, log);
  let ending = false;
  const end = (): void => {
    if (ending) return;
    ending = true;
    status.close();
    controller
      .stop()
      .catch((error: unknown) => log.error({ err: error }, `ending: ${describeError(error)}`))
      .finally(() => process.exit(0));
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  watchParent(() => {
    log.warn('the supervisor is gone');
    end();
  });
  await controller.start();
}

async function main(): Promise<void> {
  let log = createLogger('controller', 'info');
  try {
    const start = parseControllerStart(await readStartDocument());
    log = createLogger('controller', start.log_level);
    // All modules are loaded by now; from here on nothing needs root, and nothing of the network was touched yet.
    dropPrivileges(start.run_as);
    await run(start, log);
  } catch (error) {
    log.error({ err: error }, describeError(error));
    process.exit(EXIT_FAILED);
  }
}

await main();
