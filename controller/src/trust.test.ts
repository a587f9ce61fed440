import { createLogger } from '@kith/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KnownNodes } from './known-nodes.ts';
import { Trust } from './trust.ts';

const SELF = 'me@x';
const uidOf = (index: number) => index.toString(16).padStart(40, '0');
const [one, two, three] = [uidOf(1), uidOf(2), uidOf(3)];

/** Pins that nobody needs on disk: writing fails, and is not looked at. */
const pins = () => new KnownNodes('/dev/null/none', createLogger('test', 'silent'));
const firstUse = (known = pins()) => new Trust('first-use', known, SELF);
const pinned = (jid: string) => ({ jid, fpr: null, verified: false, since: '' });

test('the first node that proves itself is pinned; every later one waits, and is shown', () => {
  const trust = firstUse();
  expect(trust.judge('bob@x', one, 0)).toEqual({ is: 'trusted' });
  expect(trust.level(one)).toBe('new');
  expect(trust.proved('bob@x', one)).toBe(true);
  expect(trust.level(one)).toBe('pinned');
  expect(trust.judge('bob@x', two, 0)).toMatchObject({
    is: 'waiting',
    reason: expect.stringContaining(`kith trust accept bob@x ${two}`),
    news: true,
  });
  expect(trust.judge('bob@x', two, 0)).toMatchObject({ is: 'waiting', news: false });
  expect(trust.judge('bob@x', one, 0)).toEqual({ is: 'trusted' });
});

test('a node that is only named, and never proves itself, takes nobody’s place', () => {
  const trust = firstUse();
  trust.judge('bob@x', one, 0);
  trust.judge('bob@x', two, 0);
  expect(trust.proved('bob@x', two)).toBe(true);
  expect(trust.allows('bob@x', one)).toBe(false);
  expect(trust.unsettled).toBe(true);
  // It proves itself a moment too late.
  expect(trust.proved('bob@x', one)).toBe(false);
});

test('a node that says it is another account’s is not pinned under the name that signalled for it, and its own account gets it at once', () => {
  const trust = firstUse();
  expect(trust.judge('mallory@x', one, 0)).toEqual({ is: 'trusted' });
  expect(trust.judge('bob@x', one, 1)).toMatchObject({ is: 'foreign' });
  trust.disowned('mallory@x', one, 2);
  expect(trust.allows('mallory@x', one)).toBe(false);
  expect(trust.judge('bob@x', one, 3)).toEqual({ is: 'trusted' });
  expect(trust.waiting.get('mallory@x', one)?.reason).toContain("is not mallory@x's");
  expect(trust.proved('bob@x', one)).toBe(true);
  expect(trust.known.jidOf(one)).toBe('bob@x');
  // Another node of mallory's is met as ever.
  expect(trust.judge('mallory@x', two, 4)).toEqual({ is: 'trusted' });
});

test('a node that was disowned is tried again after ten minutes, and what a person pinned is for a person to take back', () => {
  const trust = firstUse();
  trust.judge('mallory@x', one, 0);
  trust.disowned('mallory@x', one, 0);
  expect(trust.judge('mallory@x', one, 599_999)).toMatchObject({ is: 'waiting' });
  expect(trust.judge('mallory@x', one, 600_000)).toEqual({ is: 'trusted' });
  trust.known.put(two, pinned('bob@x'));
  trust.disowned('bob@x', two, 0);
  expect(trust.judge('bob@x', two, 1)).toEqual({ is: 'trusted' });
  expect(trust.known.jidOf(two)).toBe('bob@x');
});

test('of those who disowned an account a bounded number is remembered', () => {
  const trust = firstUse();
  for (let i = 0; i < 5_000; i++) trust.disowned(`m${i}@x`, uidOf(i), 0);
  expect(trust.judge('m0@x', uidOf(0), 1)).toEqual({ is: 'trusted' });
  expect(trust.judge('m4999@x', uidOf(4_999), 1)).toMatchObject({ is: 'waiting' });
});

test('where links wait for packets, a thousand new members need not wait for a turn', () => {
  const trust = new Trust('first-use', pins(), SELF, true);
  for (let index = 0; index < 1_000; index++) {
    expect(trust.judge(`m${index}@x`, uidOf(index), 0)).toEqual({ is: 'trusted' });
  }
  expect(trust.unsettled).toBe(false);
});

test('a UID belongs to one member, from the first contact on', () => {
  const trust = firstUse();
  trust.judge('bob@x', one, 0);
  expect(trust.judge('eve@x', one, 10)).toEqual({ is: 'foreign', owner: 'bob@x' });
  trust.proved('bob@x', one);
  expect(trust.judge('eve@x', one, 1e9)).toEqual({ is: 'foreign', owner: 'bob@x' });
  expect(trust.proved('eve@x', one)).toBe(false);
  expect(trust.allows('eve@x', one)).toBe(false);
});

test('whoever names a UID that it cannot prove keeps it from its owner for a minute only', () => {
  const trust = firstUse();
  trust.judge('eve@x', one, 0);
  expect(trust.judge('bob@x', one, 59_999).is).toBe('foreign');
  expect(trust.judge('bob@x', one, 60_000).is).toBe('trusted');
  expect(trust.allows('eve@x', one)).toBe(false);
});

test('another machine of this very account waits like anybody else’s second one', () => {
  expect(firstUse().judge(SELF, one, 0)).toMatchObject({ is: 'waiting' });
});

test('strict admits nobody but verified nodes, pinned ones neither', () => {
  const known = pins();
  known.put(one, pinned('bob@x'));
  known.put(two, { ...pinned('bob@x'), verified: true });
  const trust = new Trust('strict', known, SELF);
  for (const uid of [one, three]) {
    expect(trust.judge('bob@x', uid, 0)).toMatchObject({
      is: 'waiting',
      reason: expect.stringContaining('verify'),
    });
    expect(trust.proved('bob@x', uid)).toBe(false);
    expect(trust.allows('bob@x', uid)).toBe(false);
  }
  expect(trust.judge('bob@x', two, 0)).toEqual({ is: 'trusted' });
  expect(known.size).toBe(2);
});

test('the fingerprint that DTLS proved is kept with the pin, one that was only signalled is not', () => {
  const trust = firstUse();
  trust.judge('bob@x', one, 0);
  trust.heard(one, 'FPR');
  expect(trust.known.get(one)).toBeUndefined();
  trust.proved('bob@x', one);
  expect(trust.known.get(one)?.fpr).toBe('FPR');
});

test('a flood of invented members and nodes is bounded, and those who wait get their turn', () => {
  const trust = firstUse();
  for (let i = 0; i < 20_000; i++) trust.judge(`ghost${i % 5_000}@x`, uidOf(i), 0);
  expect(trust.judge('bob@x', uidOf(99_999), 0).is).toBe('waiting');
  const places = [...Array(20_000).keys()].filter((i) => trust.allows(`ghost${i % 5_000}@x`, uidOf(i)));
  expect(places.length).toBe(256);
  expect(trust.waiting.size).toBe(1_024);
  expect(trust.waiting.dropped).toBe(20_001 - 256 - 1_024);
  // The ghosts prove nothing; a minute later bob's place is free.
  expect(trust.judge('bob@x', uidOf(99_999), 60_000).is).toBe('trusted');
});

test('nodes under one name take eight places at most, and one that is there gives way to none that comes later', () => {
  const trust = firstUse();
  trust.known.put(one, pinned('bob@x'));
  for (let i = 10; i < 1_000; i++) trust.judge('bob@x', uidOf(i), 0);
  expect(trust.waiting.of('bob@x').map(({ uid }) => uid)).toEqual(
    [...Array(8).keys()].map((i) => uidOf(10 + i)),
  );
  trust.absent('bob@x', uidOf(12));
  trust.judge('bob@x', two, 0);
  expect(trust.waiting.get('bob@x', two)).toBeDefined();
  expect(trust.waiting.get('bob@x', uidOf(12))).toBeUndefined();
});

test('names are quoted where a shell would read them as something else', () => {
  const trust = firstUse();
  trust.known.put(one, pinned('$(id)@x'));
  expect(trust.judge('$(id)@x', two, 0)).toMatchObject({
    reason: expect.stringContaining("accept '$(id)@x' "),
  });
});

const jid = fc.constantFrom('a@x', 'b@x', 'c@x', SELF);
const uid = fc.integer({ min: 0, max: 9 }).map(uidOf);
const step = fc.oneof(
  fc.record({
    do: fc.constantFrom('judge', 'absent', 'prove', 'disown', 'accept', 'verify', 'due'),
    jid,
    uid,
  }),
  fc.record({ do: fc.constant('forget' as const), jid, uid }),
);

test.each(['first-use', 'strict'] as const)(
  '%s: in any order of events no node is linked that its mode does not allow, and no UID has two owners',
  (mode) => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(step, fc.integer({ min: 0, max: 40_000 })), { maxLength: 80 }),
        (steps) => {
          const known = pins();
          const trust = new Trust(mode, known, SELF);
          const byPerson = new Set<string>();
          /** What a member may have by first use, until all its pins are forgotten. */
          const firstOf = new Map<string, string>();
          let now = 0;
          for (const [event, passed] of steps) {
            now += passed;
            const key = `${event.jid} ${event.uid}`;
            const pin = known.get(event.uid);
            switch (event.do) {
              case 'judge':
                trust.judge(event.jid, event.uid, now);
                break;
              case 'absent':
                trust.absent(event.jid, event.uid);
                break;
              case 'due':
                trust.due(now);
                break;
              case 'disown': {
                const was = known.jidOf(event.uid);
                trust.disowned(event.jid, event.uid, now);
                expect(known.jidOf(event.uid)).toBe(was);
                if (was !== event.jid) expect(trust.allows(event.jid, event.uid)).toBe(false);
                break;
              }
              case 'prove':
                // DTLS proves keys only on links, and those are only where they are allowed.
                if (!trust.allows(event.jid, event.uid)) break;
                if (trust.proved(event.jid, event.uid) && pin === undefined) {
                  expect(firstOf.has(event.jid)).toBe(false);
                  firstOf.set(event.jid, event.uid);
                }
                break;
              case 'accept':
              case 'verify': {
                const verified = event.do === 'verify' || pin?.verified === true;
                if (known.put(event.uid, { ...pinned(event.jid), verified })) {
                  if (verified || mode === 'first-use') byPerson.add(key);
                  if (!firstOf.has(event.jid)) firstOf.set(event.jid, '');
                }
                break;
              }
              case 'forget':
                if (pin?.jid !== event.jid) break;
                known.remove(event.uid);
                byPerson.delete(key);
                if (known.nodesOf(event.jid).length === 0) firstOf.delete(event.jid);
                else if (firstOf.get(event.jid) === event.uid) firstOf.set(event.jid, '');
                break;
            }
            for (const index of Array(10).keys()) {
              const node = uidOf(index);
              const owners = ['a@x', 'b@x', 'c@x', SELF].filter((name) => trust.allows(name, node));
              expect(owners.length).toBeLessThanOrEqual(1);
              const [owner] = owners;
              if (owner === undefined || byPerson.has(`${owner} ${node}`)) continue;
              expect(mode).toBe('first-use');
              // By first use: the one that proved itself, or one that may still try because none has.
              expect(owner).not.toBe(SELF);
              if (known.get(node) === undefined) expect(known.nodesOf(owner)).toEqual([]);
              else expect(firstOf.get(owner)).toBe(node);
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  },
);

test('what a waiting node said of itself is at hand when it is let in', () => {
  const trust = firstUse();
  trust.known.put(one, pinned('bob@x'));
  trust.judge('bob@x', two, 0);
  const node = { ip4: '172.31.0.9', kind: 'static' as const };
  trust.waiting.says('bob@x', two, node);
  expect(trust.due(0)).toEqual([]);
  trust.known.put(two, pinned('bob@x'));
  expect(trust.due(0)).toEqual([{ from: `bob@x/kith-${two}`, available: true, node }]);
  trust.absent('bob@x', two);
  expect(trust.waiting.size).toBe(0);
});

test('a member whose key is pinned as another one’s is shown, and comes in when that pin is forgotten', () => {
  const trust = firstUse();
  trust.known.put(one, pinned('eve@x'));
  trust.judge('bob@x', one, 0);
  expect(trust.waiting.get('bob@x', one)?.reason).toContain(`kith trust forget eve@x ${one}`);
  expect(trust.due(0)).toEqual([]);
  trust.known.remove(one);
  expect(trust.due(0)).toMatchObject([{ from: `bob@x/kith-${one}` }]);
});
