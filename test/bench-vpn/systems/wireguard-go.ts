import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Host, run } from '../../lab/index.ts';
import { withDaemons } from '../daemons.ts';
import { CLIENT_ADDRESS, PREFIX, SERVER_ADDRESS, type System } from '../system.ts';

const INTERFACE = 'wg0';
const PORT = 51820;
/** WireGuard's own default over a 1500-byte IPv4 or IPv6 network. */
const MTU = 1420;

/**
 * wireguard-go and wg(8) meet at a socket in /run/wireguard, which all hosts would share. `ip netns exec` gives each command a
 * mount namespace of its own; in it, a directory of the host's is laid over /run, and nothing is left behind anywhere.
 */
const OWN_RUN = 'mount --bind "$1" /run && shift && exec "$@"';

/** WireGuard in user space, as a machine without the kernel's would run it. */
export const wireguardGo: System = {
  name: 'wireguard-go',
  debian: { name: 'wireguard-go', program: 'wireguard-go' },
  start: (stage) =>
    withDaemons(stage.lab, async (daemons) => {
      const nodes = await Promise.all(
        [
          { host: stage.server, address: SERVER_ADDRESS },
          { host: stage.client, address: CLIENT_ADDRESS },
        ].map(async (node) => {
          const key = (await run('wg', ['genkey'])).trim();
          const publicKey = (await run('wg', ['pubkey'], { input: `${key}\n` })).trim();
          const directory = await stage.lab.directory(node.host.name, 'wireguard');
          return { ...node, key, publicKey, directory };
        }),
      );
      for (const node of nodes) {
        const run = await stage.lab.directory(node.host.name, 'wireguard', 'run');
        const inOwnRun = (...command: string[]): string[] => ['-c', OWN_RUN, 'sh', run, ...command];
        // A leftover socket of an earlier turn would be taken for a running daemon.
        await node.host.run('rm', ['-rf', join(run, 'wireguard')]);
        // Where the kernel could do it, wireguard-go says so at length and works all the same.
        await daemons.start(node.host, 'sh', inOwnRun('wireguard-go', '-f', INTERFACE));
        await daemons.interface(node.host, INTERFACE);
        const config = join(node.directory, 'wg.conf');
        const [peer] = nodes.filter((other) => other !== node);
        if (peer === undefined) continue;
        await writeFile(
          config,
          `[Interface]\nPrivateKey = ${node.key}\nListenPort = ${PORT}\n` +
            `[Peer]\nPublicKey = ${peer.publicKey}\nAllowedIPs = ${peer.address}/32\nEndpoint = ${peer.host.ip4}:${PORT}\n`,
          { mode: 0o600 },
        );
        await configure(node.host, inOwnRun('wg', 'setconf', INTERFACE, config));
        await node.host.run('ip', ['address', 'add', `${node.address}/${PREFIX}`, 'dev', INTERFACE]);
        await node.host.run('ip', ['link', 'set', 'dev', INTERFACE, 'mtu', String(MTU), 'up']);
      }
      return await daemons.session(stage.client, INTERFACE, SERVER_ADDRESS);
    }),
};

/** The interface appears a moment before the socket at which it is configured. */
async function configure(host: Host, command: readonly string[]): Promise<void> {
  const again = 'for try in 1 2 3 4 5 6 7 8 9; do sh "$@" 2>/dev/null && exit; sleep 0.1; done; exec sh "$@"';
  await host.run('sh', ['-c', again, 'sh', ...command]);
}
