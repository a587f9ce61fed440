import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../lab/index.ts';
import { withDaemons } from '../daemons.ts';
import { CLIENT_ADDRESS, PREFIX, SERVER_ADDRESS, type System } from '../system.ts';

const INTERFACE = 'tinc0';
const PROGRAM = '/usr/sbin/tincd';
/** tinc adds up to 89 bytes to a frame: this MTU spares the switch any fragments. */
const MTU = 1400;

/** tinc 1.0 as an Ethernet switch over TAP, which is what Kith is; cipher and digest are its defaults (AES-256-CBC, SHA-256). */
export const tinc: System = {
  name: 'tinc',
  debian: { name: 'tinc', program: PROGRAM },
  start: (stage) =>
    withDaemons(stage.lab, async (daemons) => {
      const nodes = await Promise.all(
        [
          { host: stage.server, address: SERVER_ADDRESS },
          { host: stage.client, address: CLIENT_ADDRESS },
        ].map(async (node) => ({ ...node, directory: await stage.lab.directory(node.host.name, 'tinc') })),
      );
      for (const { host, directory } of nodes) {
        await mkdir(join(directory, 'hosts'), { recursive: true });
        const connect = host === stage.client ? `ConnectTo = ${stage.server.name}\n` : '';
        await writeFile(
          join(directory, 'tinc.conf'),
          `Name = ${host.name}\nMode = switch\nDeviceType = tap\nInterface = ${INTERFACE}\nAddressFamily = ipv4\n${connect}`,
        );
        await writeFile(join(directory, 'hosts', host.name), `Address = ${host.ip4}\n`);
        // It asks for file names, for which empty lines take the defaults, and appends the public key to the hosts file.
        await run(PROGRAM, ['-c', directory, '-K2048'], { input: '\n\n' });
      }
      for (const { host, directory } of nodes) {
        const others = nodes.filter((node) => node.host !== host);
        const to = others.map((other) => join(other.directory, 'hosts', host.name));
        for (const target of to) await copyFile(join(directory, 'hosts', host.name), target);
      }
      for (const { host, address, directory } of nodes) {
        const files = [`--pidfile=${join(directory, 'pid')}`, `--logfile=${join(directory, 'tinc.log')}`];
        await daemons.start(host, PROGRAM, ['-c', directory, '-D', ...files]);
        await daemons.interface(host, INTERFACE);
        await host.run('ip', ['link', 'set', 'dev', INTERFACE, 'mtu', String(MTU), 'up']);
        await host.run('ip', ['address', 'add', `${address}/${PREFIX}`, 'dev', INTERFACE]);
      }
      return await daemons.session(stage.client, INTERFACE, SERVER_ADDRESS);
    }),
};
