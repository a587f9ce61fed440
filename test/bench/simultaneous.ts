// Both ends call create_link in the same instant, again and again: how long until both say online.
import type { ApiReply, ConResp, ConStat } from '@kith/protocol';
import { percentile, spread } from '../bench-vpn/statistics.ts';
import { TincanProcess } from '../e2e/tincan-process.ts';
import { rounded, runBench, say } from './bench.ts';

interface End {
  tincan: TincanProcess;
  uid: string;
}

await runBench({
  name: 'simultaneous',
  options: { runs: 100 },
  work: async ({ lab, options }) => {
    const [one, other] = await Promise.all([
      startEnd(await TincanProcess.start(lab, await lab.host('anna')), '172.31.0.1'),
      startEnd(await TincanProcess.start(lab, await lab.host('bert')), '172.31.0.2'),
    ]);
    const times: number[] = [];
    let attempt = 0;
    while (times.length < options.runs) {
      const at = performance.now();
      // As a controller does: an attempt that failed is followed by the next.
      do attempt++;
      while (!(await linkUp(one, other, attempt)));
      times.push(performance.now() - at);
    }
    const { median, min, max } = spread(times);
    const figures = {
      links: times.length,
      failed_attempts: attempt - times.length,
      median_ms: rounded(median),
      min_ms: rounded(min),
      p90_ms: rounded(percentile(times, 90)),
      max_ms: rounded(max),
    };
    say(
      `${figures.links} links by ${attempt} attempts: median ${figures.median_ms} ms, ${figures.min_ms} to ${figures.max_ms} ms`,
    );
    await Promise.all([one.tincan.stop(), other.tincan.stop()]);
    return figures;
  },
});

async function startEnd(tincan: TincanProcess, ip4: string): Promise<End> {
  await tincan.call('set_cb_endpoint', { ip: '::', port: tincan.port });
  await tincan.call('set_local_ip', { ip4, ip4_mask: 24 });
  const state = await tincan.call('get_state');
  if (state.type !== 'local_state') throw new Error(`get_state was answered with ${state.type}`);
  return { tincan, uid: state._uid };
}

async function begin(from: End, to: End, attempt: number): Promise<void> {
  await from.tincan.call('create_link', { uid: to.uid, attempt });
}

/** Hands all that one end gathered to the other: candidates of its first notification alone need not fit those of the other end's. */
async function describe(from: End, to: End, attempt: number): Promise<void> {
  const isDescription = (reply: ApiReply): reply is ConResp =>
    reply.type === 'con_resp' && reply.attempt === attempt && reply.complete;
  const { data } = await from.tincan.until(isDescription);
  const [fpr, ...cas] = data.split(' ');
  await to.tincan.call('create_link', { uid: from.uid, fpr, cas: cas.join(' '), attempt });
}

/** One attempt from both ends in the same instant; false when it failed. */
async function linkUp(one: End, other: End, attempt: number): Promise<boolean> {
  await Promise.all([begin(one, other, attempt), begin(other, one, attempt)]);
  await Promise.all([describe(one, other, attempt), describe(other, one, attempt)]);
  const outcomes = await Promise.all([outcome(one, attempt), outcome(other, attempt)]);
  return outcomes.every((data) => data === 'online');
}

/** What an end says of the attempt first. */
async function outcome(end: End, attempt: number): Promise<ConStat['data']> {
  const isNews = (reply: ApiReply): reply is ConStat =>
    reply.type === 'con_stat' && reply.attempt === attempt;
  return (await end.tincan.until(isNews)).data;
}
