import { HOST_INTERFACE, type Host, run } from '../lab/index.ts';
import type { World } from './world.ts';

const NEXT_IP4 = '203.0.113.244';

/** The hub moves to another address, and its name in the DNS with it; nothing answers at the old one. */
export async function moveHub({ lab, hub }: World): Promise<void> {
  const { host, domain } = hub;
  // First the new one: the kernel ends a connection's packets, but no route, while an address of the network is left.
  await ip(host.namespace, `address add ${NEXT_IP4}/24 dev ${HOST_INTERFACE}`);
  await lab.setName(domain, host.ip6, NEXT_IP4);
  const rules = `table inet moved {\n chain in {\n type filter hook input priority -10;\n ip daddr ${host.ip4} drop\n }\n}\n`;
  await host.run('nft', ['-f', '-'], { input: rules });
}

/** A node that has not noticed yet still says that it is online. */
export async function isAtNewHub(host: Host): Promise<boolean> {
  return (await host.run('ss', ['-Htn', 'state', 'established', 'dst', NEXT_IP4])) !== '';
}

export async function moveHubBack({ lab, hub }: World): Promise<void> {
  const { host, domain } = hub;
  await host.exec('nft', ['delete', 'table', 'inet', 'moved']);
  await lab.setName(domain, host.ip6, host.ip4);
  await host.exec('ip', ['address', 'delete', `${NEXT_IP4}/24`, 'dev', HOST_INTERFACE]);
}

async function ip(namespace: string, command: string): Promise<void> {
  await run('ip', ['-n', namespace, '-batch', '-'], { input: `${command}\n` });
}
