// A crowd of bare XMPP sessions that look like nodes; see crowd.ts. Says "ready" when all are online and runs until it is killed.
import { readFile } from 'node:fs/promises';
import { createLogger } from '@kith/base';
import { XmppSession } from '@kith/controller/xmpp';
import { z } from 'zod';
import { crowdUid } from './crowd.ts';

/** More TLS handshakes at once would only wait for each other. */
const AT_ONCE = 20;

const crowdStart = z.object({
  ...{ domain: z.string(), server: z.string(), caFile: z.string(), users: z.array(z.string()) },
});
const { domain, server, caFile, users } = crowdStart.parse(JSON.parse(process.argv[2] ?? ''));
const ca = await readFile(caFile, 'utf8');
const log = createLogger('crowd', 'warn', { write: (line) => void process.stderr.write(line) });
const sessions: XmppSession[] = [];

function join(user: string, index: number): Promise<void> {
  const session = new XmppSession({
    ...{ jid: `${user}@${domain}`, password: `${user}-password`, server, ca, log },
    resource: `kith-${crowdUid(user)}`,
  });
  sessions.push(session);
  session.announce({ ip4: `172.31.${index >> 8}.${index & 255}`, kind: 'static' });
  return new Promise((resolve) => {
    session.on('state', ({ state }) => {
      if (state === 'online') resolve();
    });
    session.start();
  });
}

const waiting = [...users.entries()];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      await join(next[1], next[0] + 1);
  }),
);
process.stdout.write('ready\n');
