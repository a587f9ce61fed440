import { join } from 'node:path';
import { run } from '../../lab/index.ts';
import { withDaemons } from '../daemons.ts';
import { CLIENT_ADDRESS, NETMASK, SERVER_ADDRESS, type System } from '../system.ts';

const INTERFACE = 'ovpn0';
const PROGRAM = '/usr/sbin/openvpn';
/** OpenVPN's 1500 would make the switch carry every full frame in two fragments. */
const MTU = 1400;

/** OpenVPN over TAP between two points, TLS keys, AES-256-GCM, one self-signed certificate at both ends. */
export const openvpn: System = {
  name: 'openvpn',
  debian: { name: 'openvpn', program: PROGRAM },
  start: (stage) =>
    withDaemons(stage.lab, async (daemons) => {
      const directory = await stage.lab.directory(stage.server.name, 'openvpn');
      const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'crt.pem')];
      await run('openssl', [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'],
        ...['-subj', '/CN=bench', '-keyout', key, '-out', certificate],
      ]);
      const common = [
        ...[
          '--dev',
          INTERFACE,
          '--dev-type',
          'tap',
          '--tun-mtu',
          String(MTU),
          '--proto',
          'udp',
          '--verb',
          '1',
        ],
        ...['--ca', certificate, '--cert', certificate, '--key', key, '--data-ciphers', 'AES-256-GCM'],
      ];
      const { client, server } = stage;
      const serverArgs = ['--tls-server', '--dh', 'none', '--ifconfig', SERVER_ADDRESS, NETMASK];
      await daemons.start(server, PROGRAM, [...common, ...serverArgs, '--remote', client.ip4]);
      const clientArgs = ['--tls-client', '--ifconfig', CLIENT_ADDRESS, NETMASK];
      await daemons.start(client, PROGRAM, [...common, ...clientArgs, '--remote', server.ip4]);
      for (const host of [server, client]) await daemons.interface(host, INTERFACE);
      return await daemons.session(client, INTERFACE, SERVER_ADDRESS);
    }),
};
