import { SystemError } from '@kith/base';
import { nativeConfig } from '@kith/config';
import type { LinkStatus, StatusReport } from '@kith/protocol';
import { firstReply, KITH, KithNode, OVERLAY_INTERFACE } from '../../lab/index.ts';
import { CLIENT_ADDRESS, PREFIX, SERVER_ADDRESS, type Session, type Stage, type System } from '../system.ts';

/** What makes one of Kith's three systems. */
interface Kind {
  readonly name: 'kith-encrypted' | 'kith-plain' | 'kith-channel';
  readonly config: Record<string, Record<string, unknown>>;
  /** What the link must be like before it is measured, so that no figure is told of something else. */
  readonly carrier: LinkStatus['carrier'];
  readonly security: LinkStatus['security'];
}

export const GROUP = 'bench';
// A link is up within a second; finding the direct path and the largest datagram takes a few more.
const LINK_TIMEOUT_MS = 20_000;
/** Time for the search for the largest datagram, which goes on when the link is already used. */
const SETTLE_MS = 2000;

const HAS_DIRECT = Object.hasOwn(nativeConfig.shape, 'direct');

function system(kind: Kind): System {
  return { name: kind.name, start: (stage) => start(stage, kind) };
}

async function start(stage: Stage, kind: Kind): Promise<Session> {
  if (!HAS_DIRECT && kind.carrier === 'direct') {
    throw new SystemError('NOT_BUILT', 'this Kith has no direct carrier');
  }
  const hub = await stage.hub();
  const nodes: KithNode[] = [];
  for (const [host, address] of [
    [stage.server, SERVER_ADDRESS],
    [stage.client, CLIENT_ADDRESS],
  ] as const) {
    nodes.push(
      await KithNode.create(stage.lab, hub, host, {
        ...{ user: host.name, password: host.name, ip4: `${address}/${PREFIX}`, group: GROUP },
        config: kind.config,
      }),
    );
  }
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.down()));
  };
  try {
    for (const node of nodes) await up(stage, node);
    const isReady = ({ links: [link] }: StatusReport): boolean =>
      link?.state === 'online' && link.carrier === kind.carrier && link.security === kind.security;
    const wish = `${kind.security} by ${kind.carrier}`;
    for (const node of nodes) await node.waitUntil(wish, isReady, LINK_TIMEOUT_MS);
    await firstReply(stage.client, OVERLAY_INTERFACE, SERVER_ADDRESS, LINK_TIMEOUT_MS);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
  return { serverAddress: SERVER_ADDRESS, stop };
}

/** `kith up`, in the lab's directory: what V8 may log of a profiled process lands where it is removed. */
async function up({ lab, profiled }: Stage, node: KithNode): Promise<void> {
  // The shell's pid, which it tells, becomes that of the command.
  const script = ['-c', 'echo $$; exec "$@"', 'sh', process.execPath, KITH, 'up', '-c', node.configFile];
  const options = profiled === undefined ? {} : { NODE_OPTIONS: profiled.nodeOptions };
  const { code, stdout, stderr } = await node.host.exec('sh', script, {
    cwd: lab.dir,
    env: { ...process.env, ...options },
  });
  profiled?.commands.push(Number.parseInt(stdout, 10));
  if (code !== 0) throw new SystemError('KITH_FAILED', `kith up: ${(stdout + stderr).trim()}`);
}

export const kithEncrypted = system({
  name: 'kith-encrypted',
  config: {},
  carrier: 'direct',
  security: 'encrypted',
});
export const kithPlain = system({
  name: 'kith-plain',
  config: { security: { mode: 'never' } },
  carrier: 'direct',
  security: 'plain',
});
export const kithChannel = system({
  name: 'kith-channel',
  config: HAS_DIRECT ? { direct: { enabled: false } } : {},
  carrier: 'channel',
  security: 'encrypted',
});
