import { parseGatewayStart } from '@kith/config';
import { runProcess } from '../run-process.ts';
import { GatewayProcess } from './gateway-process.ts';

await runProcess('gateway', parseGatewayStart, async (start, log, endWith) => {
  const gateway = await GatewayProcess.start(start, log);
  endWith(() => gateway.stop());
  log.info({ port: start.api_port }, 'API ready');
});
