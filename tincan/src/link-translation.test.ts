import { expect, test } from 'vitest';
import { translationOf } from './link-translation.ts';

const GIVEN = { remote_ip4: '172.31.0.100', mapped_ip4: '172.31.0.101', local_ip4: '172.31.0.100' };

test('what create_link said counts, and a peer with another address than it named is reported', () => {
  expect(translationOf(GIVEN, '9.9.9.9', '172.31.0.100', '172.31.0.100')).toEqual({
    translation: GIVEN,
    note: null,
  });
  expect(translationOf(GIVEN, null, '172.31.0.100', '10.0.0.1')).toEqual({
    translation: GIVEN,
    note: expect.stringMatching(/10\.0\.0\.1, not 172\.31\.0\.100/),
  });
});

test("IPOP's way: the address of set_remote_ip is how the peer is seen, its own is what its hello says", () => {
  expect(translationOf(undefined, '172.31.0.101', '172.31.0.100', '172.31.0.7')).toEqual({
    translation: { remote_ip4: '172.31.0.7', mapped_ip4: '172.31.0.101', local_ip4: '172.31.0.100' },
    note: null,
  });
});

test.each([
  [undefined, '172.31.0.100', '172.31.0.7'],
  [null, '172.31.0.100', '172.31.0.7'],
  ['172.31.0.101', null, '172.31.0.7'],
  ['172.31.0.101', '172.31.0.100', null],
])('without all three addresses nothing is translated: %s, %s, %s', (seenAt, own, announced) => {
  expect(translationOf(undefined, seenAt, own, announced).translation).toBeUndefined();
});
