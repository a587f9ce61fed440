import { join } from 'node:path';
import { parseControllerStart } from '@kith/config';
import { AddressStore } from './addressing/index.ts';
import { Controller } from './controller.ts';
import { KnownNodes } from './known-nodes.ts';
import { runProcess } from './run-process.ts';
import { StatusServer } from './status-server.ts';

await runProcess('controller', parseControllerStart, async (start, log, endWith) => {
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
  endWith(
    () => {
      status.close();
      return controller.stop();
    },
    () => controller.lookForTincan(),
  );
  await controller.start();
});
