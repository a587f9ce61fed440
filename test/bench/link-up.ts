// How long from a node's controller being online at the hub to the first ping over the overlay.
import { spread } from '../bench-vpn/statistics.ts';
import { ALICE, firstReply, makePair, OVERLAY_INTERFACE } from '../lab/index.ts';
import { rounded, runBench, say } from './bench.ts';

const TIMEOUT_MS = 60_000;

await runBench({
  name: 'linkup',
  options: { runs: 10 },
  work: async ({ lab, options, channelOnly }) => {
    const { alice, bob } = await makePair(lab, channelOnly);
    await alice.up();
    await alice.waitUntil('online at the hub', (status) => status.hub.state === 'online');
    const times: number[] = [];
    const fromCommand: number[] = [];
    for (let run = 1; run <= options.runs; run++) {
      const startedAt = performance.now();
      // All at once: whoever polls only after `kith up` has returned would miss the moment.
      const [replyAt, onlineAt] = await Promise.all([
        firstReply(bob.host, OVERLAY_INTERFACE, ALICE, TIMEOUT_MS),
        bob
          .waitUntil('online at the hub', (status) => status.hub.state === 'online', TIMEOUT_MS)
          .then(() => performance.now()),
        bob.up(),
      ]);
      times.push(Math.max(0, replyAt - onlineAt));
      fromCommand.push(replyAt - startedAt);
      say(
        `run ${run}: ${Math.round(replyAt - onlineAt)} ms, ${Math.round(replyAt - startedAt)} ms from kith up`,
      );
      await bob.down();
      await alice.waitUntil('without bob', (status) => status.links.every((link) => link.state !== 'online'));
    }
    const { median, min, max } = spread(times);
    say(
      `online at the hub to first ping: median ${rounded(median)} ms, ${rounded(min)} to ${rounded(max)} ms`,
    );
    return {
      median_ms: rounded(median),
      min_ms: rounded(min),
      max_ms: rounded(max),
      from_kith_up_median_ms: rounded(spread(fromCommand).median),
    };
  },
});
