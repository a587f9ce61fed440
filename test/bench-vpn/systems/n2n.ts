import { withDaemons } from '../daemons.ts';
import { CLIENT_ADDRESS, SERVER_ADDRESS, type System } from '../system.ts';

const INTERFACE = 'n2n0';
const SUPERNODE_PORT = 7654;
const EDGE = '/usr/sbin/edge';

/** n2n 1.3 with Twofish, all it has; the supernode is a third host that introduces the two. */
export const n2n: System = {
  name: 'n2n',
  debian: { name: 'n2n', program: EDGE },
  start: (stage) =>
    withDaemons(stage.lab, async (daemons) => {
      const supernode = await stage.lab.host('supernode');
      await daemons.start(supernode, 'supernode', ['-l', String(SUPERNODE_PORT)]);
      // An edge whose first registration is lost tries again only after a minute.
      await daemons.says('Supernode ready');
      for (const [host, address] of [
        [stage.server, SERVER_ADDRESS],
        [stage.client, CLIENT_ADDRESS],
      ] as const) {
        await daemons.start(host, EDGE, [
          ...['-d', INTERFACE, '-a', address, '-c', 'bench', '-k', 'secret'],
          ...['-l', `${supernode.ip4}:${SUPERNODE_PORT}`],
        ]);
        await daemons.interface(host, INTERFACE);
      }
      return await daemons.session(stage.client, INTERFACE, SERVER_ADDRESS);
    }),
};
