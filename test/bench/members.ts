// One node among many members who are online but not linked (links on demand): what the crowd costs it.
import { setTimeout as pause } from 'node:timers/promises';
import { SystemError } from '@kith/base';
import { spread } from '../bench-vpn/statistics.ts';
import { Ejabberd, KithNode } from '../lab/index.ts';
import { rounded, runBench, say, table } from './bench.ts';
import { crowdUid, startCrowd } from './crowd.ts';
import { processesOf, usageOfEach } from './node-processes.ts';
import { acceptNode } from './trust-socket.ts';

const CROWD = 'crowd';
const WATCHER = 'watcher';
const MEMBERS_TIMEOUT_MS = 120_000;
const STATUS_EVERY_MS = 1_000;

await runBench({
  name: 'members',
  options: { members: 1000, settle: 10, seconds: 20, runs: 10 },
  work: async ({ lab, options: { members, settle, seconds, runs } }) => {
    const hub = await Ejabberd.start(lab);
    // The node sees the crowd and each of the crowd sees the node, but not each other: what a thousand real members would send to one
    // another is not this bench's matter, and a million presences would be.
    await hub.createGroup(CROWD, WATCHER);
    await hub.createGroup(WATCHER, CROWD);
    await hub.register('alice', 'alice-password');
    await hub.addToGroup('alice', WATCHER);
    const users = Array.from({ length: members }, (_, index) => `m${index + 1}`);
    for (const user of users) {
      await hub.register(user, `${user}-password`);
      await hub.addToGroup(user, CROWD);
    }
    say(`${members} accounts are made`);
    const alice = await KithNode.create(lab, hub, await lab.host('alice'), {
      ...{ user: 'alice', password: 'alice-password', ip4: '172.31.255.1/16', group: CROWD },
      config: { network: { links: { when: 'on-demand' } } },
    });
    await alice.up();
    await alice.waitUntil('online at the hub', (status) => status.hub.state === 'online');
    // They have met before: of nodes that are new to a node, only some hundred are met at one time.
    for (const user of users) await acceptNode(alice, hub.jid(user), crowdUid(user));
    say('all are accepted');
    const processes = await processesOf(alice);
    const measure = async (): Promise<{ cpu_percent: number; rss_mb: number }[]> => {
      await pause(settle * 1000);
      const before = await usageOfEach(processes);
      await pause(seconds * 1000);
      const after = await usageOfEach(processes);
      return after.map(({ cpuSeconds, rssMegabytes }, index) => ({
        cpu_percent: rounded(((cpuSeconds - (before[index]?.cpuSeconds ?? 0)) / seconds) * 100, 2),
        rss_mb: rounded(rssMegabytes),
      }));
    };
    const alone = await measure();

    const startedAt = performance.now();
    const crowd = await startCrowd(lab, hub, users);
    await untilAllIdle(alice, members);
    say(`all are seen as idle after ${rounded((performance.now() - startedAt) / 1000)} s`);
    const among = await measure();

    const command: number[] = [];
    const socket: number[] = [];
    for (let run = 0; run < runs; run++) {
      let at = performance.now();
      await alice.statusText();
      command.push(performance.now() - at);
      at = performance.now();
      await alice.status();
      socket.push(performance.now() - at);
    }
    crowd.stop();
    const results = processes.map(({ name }, index) => ({ name, alone: alone[index], among: among[index] }));
    table(
      ['process', 'CPU % alone', `CPU % among ${members}`, 'RSS MB alone', 'RSS MB among'],
      results.map(({ name, alone: one, among: many }) => [
        ...[name, one?.cpu_percent ?? null, many?.cpu_percent ?? null],
        ...[one?.rss_mb ?? null, many?.rss_mb ?? null],
      ]),
    );
    const status = { command_ms: spread(command), socket_ms: spread(socket) };
    say(
      `kith status: median ${rounded(status.command_ms.median)} ms, at most ${rounded(status.command_ms.max)} ms`,
    );
    return { results, status };
  },
});

/** Asks once a second only: a status of a thousand members is work for the one who is measured. */
async function untilAllIdle(node: KithNode, members: number): Promise<void> {
  const deadline = performance.now() + MEMBERS_TIMEOUT_MS;
  for (;;) {
    const { links } = await node.status();
    const idle = links.filter(({ state }) => state === 'idle').length;
    if (idle === members) return;
    if (performance.now() > deadline) {
      throw new SystemError('NOT_ALL_SEEN', `${idle} of ${members} members are seen as idle`);
    }
    await pause(STATUS_EVERY_MS);
  }
}
