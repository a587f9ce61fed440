import { createLogger, PeerError, SystemError } from '@kith/base';
import { expect, test } from 'vitest';
import type { MemberAddress } from './addressing/index.ts';
import { MemberSync } from './member-sync.ts';

const log = createLogger('test', 'silent');
const at = (ip4: string | null): MemberAddress => ({ ip4, ip6: 'fd00::1', ip4_translated: false });

/** A tincan that answers when told to. */
class FakeTincan {
  readonly calls: string[] = [];
  readonly #open: { resolve: () => void; reject: (error: Error) => void }[] = [];

  call = (method: string, parameters: object): Promise<void> => {
    const { uid, ip4 }: { uid?: unknown; ip4?: unknown } = parameters;
    this.calls.push(`${method} ${String(uid)}${ip4 === undefined ? '' : ` ${String(ip4)}`}`);
    return new Promise((resolve, reject) => this.#open.push({ resolve, reject }));
  };

  async answer(error?: Error): Promise<void> {
    const call = this.#open.shift();
    if (error === undefined) call?.resolve();
    else call?.reject(error);
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  }
}

test('members are told one by one, changes in between once, and those that left are taken back', async () => {
  const tincan = new FakeTincan();
  const sync = new MemberSync(tincan.call, log);
  sync.update(
    new Map([
      ['a', at('10.0.0.1')],
      ['b', at(null)],
    ]),
  );
  sync.update(
    new Map([
      ['a', at('10.0.0.1')],
      ['b', at('10.0.0.2')],
    ]),
  );
  sync.update(
    new Map([
      ['a', at('10.0.0.1')],
      ['b', at('10.0.0.3')],
    ]),
  );
  expect(tincan.calls).toEqual(['set_member a 10.0.0.1']);
  for (let turn = 0; turn < 3; turn++) await tincan.answer();
  sync.update(new Map([['b', at('10.0.0.3')]]));
  for (let turn = 0; turn < 3; turn++) await tincan.answer();
  expect(tincan.calls).toEqual(['set_member a 10.0.0.1', 'set_member b 10.0.0.3', 'remove_member a']);
});

test('a refusal costs one member, silence waits for the next update; a new tincan is told everything', async () => {
  const tincan = new FakeTincan();
  const sync = new MemberSync(tincan.call, log);
  const wanted = new Map([
    ['a', at(null)],
    ['b', at(null)],
    ['c', at(null)],
  ]);
  sync.update(wanted);
  await tincan.answer(new PeerError('MEMBER_LIMIT', 'no'));
  await tincan.answer(new SystemError('TINCAN_SILENT', 'gone'));
  expect(tincan.calls).toEqual(['set_member a null', 'set_member b null']);
  sync.update(wanted);
  await tincan.answer(new SystemError('TINCAN_SILENT', 'gone'));
  expect(tincan.calls.splice(2)).toEqual(['set_member c null']);
  sync.reset();
  sync.update(wanted);
  for (let turn = 0; turn < 3; turn++) await tincan.answer();
  expect(tincan.calls.slice(2)).toEqual(['set_member a null', 'set_member b null', 'set_member c null']);
});
