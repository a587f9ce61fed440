import { createLogger, describeError, type Logger, readStartDocument, watchParent } from '@kith/base';
import { type GatewayStart, parseGatewayStart } from '@kith/config';
import { dropPrivileges } from '../privileges.ts';
import { GatewayProcess } from './gateway-process.ts';

const EXIT_FAILED = 1;

async function run(start: GatewayStart, log: Logger): Promise<void> {
  const gateway = await GatewayProcess.start(start, log);
  let ending = false;
  const end = (): void => {
    if (ending) return;
    ending = true;
    gateway
      .stop()
      .catch((error: unknown) => log.error({ err: error }, `ending: ${describeError(error)}`))
      .finally(() => process.exit(0));
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  watchParent(end);
  log.info({ port: start.api_port }, 'API ready');
}

async function main(): Promise<void> {
  let log = createLogger('gateway', 'info');
  try {
    const start = parseGatewayStart(await readStartDocument());
    log = createLogger('gateway', start.log_level);
    // All modules are loaded by now; from here on nothing needs root, and nothing of the network was touched yet (WALL 2).
    dropPrivileges(start.run_as);
    await run(start, log);
  } catch (error) {
    log.error({ err: error }, describeError(error));
    process.exit(EXIT_FAILED);
  }
}

await main();
