import { createLogger, SystemError } from '@kith/base';
import type { ApiReply, SecurityTerms, Uid } from '@kith/protocol';
import { expect, test } from 'vitest';
import { LinkRunner } from './link-runner.ts';
import { LinkTurns } from './link-turns.ts';
import type { PeerAction, RemoteEnd } from './peer-state.ts';
import { PeerTable } from './peer-table.ts';

const mine: SecurityTerms = { mode: 'always', groups: [], without_common_group: 'plain' };
const uid: Uid = 'a'.repeat(40);
const remote: RemoteEnd = { fpr: 'AA:BB', cas: '0:1:udp:192.0.2.1:5000', encrypted: true, terms: mine };

function runner() {
  /** The calls that tincan has not answered, in order. */
  const calls: { attempt: unknown; answer: () => void; fail: () => void }[] = [];
  const peer = new PeerTable(mine, false).add(uid, 'n1@vpn.test');
  if (peer === undefined) expect.unreachable();
  const made = new LinkRunner({
    log: createLogger('test', 'silent'),
    tincan: {
      call: (_method, parameters = {}) =>
        new Promise<ApiReply[]>((resolve, reject) => {
          calls.push({
            attempt: 'attempt' in parameters ? parameters.attempt : undefined,
            answer: () => resolve([]),
            fail: () => reject(new SystemError('TINCAN_SILENT', 'tincan did not answer create_link')),
          });
        }),
    },
    iceServers: { current: () => [] },
    stories: { add: () => undefined },
    ...{ turns: new LinkTurns(), jid: 'me@vpn.test', mine },
    session: () => undefined,
    local: () => undefined,
    addressing: () => undefined,
    later: () => undefined,
  });
  const ask = (attempt: number, of?: RemoteEnd): void => {
    const action: PeerAction = { do: 'create-link', uid, attempt, remote: of };
    made.perform(peer, [action]);
  };
  return { calls, ask };
}

const settled = () => new Promise(setImmediate);

test('a tincan that has not answered for an attempt yet is not asked for it again, but for the next, and told what the peer answered', () => {
  const { calls, ask } = runner();
  for (let times = 0; times < 15; times++) ask(1);
  expect(calls).toHaveLength(1);
  ask(1, remote);
  ask(2);
  expect(calls.map(({ attempt }) => attempt)).toEqual([1, 1, 2]);
});

test('it is asked again when it answered without a description coming of it, and when it was silent to the end', async () => {
  const { calls, ask } = runner();
  ask(1);
  calls[0]?.answer();
  await settled();
  ask(1);
  expect(calls).toHaveLength(2);
  calls[1]?.fail();
  await settled();
  ask(1);
  expect(calls).toHaveLength(3);
});
