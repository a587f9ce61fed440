import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../lab/index.ts';
import { withDaemons } from '../daemons.ts';
import { CLIENT_ADDRESS, PREFIX, SERVER_ADDRESS, type System } from '../system.ts';

const INTERFACE = 'nebula0';
const PORT = 4242;
/** Nebula's own default. */
const MTU = 1300;

/** Nebula with its default cipher (AES-256-GCM) and one routine; the server is the lighthouse. */
export const nebula: System = {
  name: 'nebula',
  debian: { name: 'nebula', program: 'nebula' },
  start: (stage) =>
    withDaemons(stage.lab, async (daemons) => {
      const directory = await stage.lab.directory(stage.server.name, 'nebula');
      const at = (file: string): string => join(directory, file);
      await run('rm', ['-rf', at('ca.key'), at('ca.crt')]);
      await run('nebula-cert', ['ca', '-name', 'bench', '-out-key', at('ca.key'), '-out-crt', at('ca.crt')]);
      for (const [host, address] of [
        [stage.server, SERVER_ADDRESS],
        [stage.client, CLIENT_ADDRESS],
      ] as const) {
        const files = ['key', 'crt'].map((kind) => at(`${host.name}.${kind}`));
        const [key = '', certificate = ''] = files;
        await run('rm', ['-f', ...files]);
        await run('nebula-cert', [
          ...['sign', '-name', host.name, '-ip', `${address}/${PREFIX}`],
          ...['-ca-key', at('ca.key'), '-ca-crt', at('ca.crt'), '-out-key', key, '-out-crt', certificate],
        ]);
        const lighthouse = host === stage.server;
        const config = {
          pki: { ca: at('ca.crt'), cert: certificate, key },
          static_host_map: lighthouse ? {} : { [SERVER_ADDRESS]: [`${stage.server.ip4}:${PORT}`] },
          lighthouse: { am_lighthouse: lighthouse, hosts: lighthouse ? [] : [SERVER_ADDRESS] },
          listen: { host: '0.0.0.0', port: PORT },
          tun: { dev: INTERFACE, mtu: MTU },
          logging: { level: 'warning' },
          firewall: {
            outbound: [{ port: 'any', proto: 'any', host: 'any' }],
            inbound: [{ port: 'any', proto: 'any', host: 'any' }],
          },
        };
        // JSON is YAML.
        await writeFile(at(`${host.name}.yml`), JSON.stringify(config));
        await daemons.start(host, 'nebula', ['-config', at(`${host.name}.yml`)]);
        await daemons.interface(host, INTERFACE);
      }
      return await daemons.session(stage.client, INTERFACE, SERVER_ADDRESS);
    }),
};
