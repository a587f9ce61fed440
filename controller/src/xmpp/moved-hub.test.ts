import { afterEach, expect, test, vi } from 'vitest';
import { hasMoved } from './moved-hub.ts';
import { parseServer } from './server-url.ts';
import { cleanUp, meet, reaches } from './session.test.helper.ts';
import type { XmppSession } from './session.ts';

afterEach(cleanUp);

const NAMED = parseServer('xmpps://hub.test:5223');

test('a hub has moved when none of the addresses of its name is the one of the connection', async () => {
  const answer = async () => ['2001:db8::1', '203.0.113.7'];
  expect(await hasMoved(NAMED, '203.0.113.7', answer)).toBe(false);
  expect(await hasMoved(NAMED, '2001:0db8:0::1', answer)).toBe(false);
  expect(await hasMoved(NAMED, '203.0.113.8', answer)).toBe(true);
  expect(await hasMoved(parseServer('wss://hub.test/ws'), '203.0.113.8', answer)).toBe(true);
});

test('an address moves nowhere, and a name that nobody knows is no sign of a move', async () => {
  const never = async (): Promise<string[]> => expect.unreachable();
  expect(await hasMoved(parseServer('xmpp://203.0.113.7'), '203.0.113.7', never)).toBe(false);
  expect(await hasMoved(parseServer('xmpp://[2001:db8::1]'), '203.0.113.7', never)).toBe(false);
  expect(await hasMoved(NAMED, '203.0.113.7', () => Promise.reject(new Error('EAI_AGAIN')))).toBe(false);
  expect(await hasMoved(NAMED, '203.0.113.7', async () => [])).toBe(false);
});

/** Signs in at a hub of that name, which answers no probe; `where` says where the name leads later. */
async function signedIn(sm: boolean): Promise<{ session: XmppSession; where: { address: string } }> {
  const where = { address: '127.0.0.1' };
  const { session } = await meet({ sm }, (port) => ({
    server: `xmpps://hub.test:${port}`,
    resolve: async () => [where.address],
  }));
  const online = reaches(session, 'online');
  session.start();
  await online;
  return { session, where };
}

test.each([true, false])(
  'a silent hub whose name leads elsewhere is left after 8 s, and looked for there (stream management: %s)',
  async (sm) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    try {
      const { session, where } = await signedIn(sm);
      where.address = '127.0.0.2';
      const left = reaches(session, 'waiting');
      await vi.advanceTimersByTimeAsync(7_900);
      expect(session.state.state).toBe('online');
      await vi.advanceTimersByTimeAsync(200);
      expect(await left).toMatchObject({ detail: expect.stringContaining('XMPP_MOVED'), retryInMs: 0 });
      // Not there either; back where it was it is found by the usual tries.
      where.address = '127.0.0.1';
      const again = reaches(session, 'online');
      await vi.advanceTimersByTimeAsync(2_000);
      await again;
    } finally {
      vi.useRealTimers();
    }
  },
);

test('a silent hub that has not moved gets its full time', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  try {
    const { session } = await signedIn(true);
    const left = reaches(session, 'waiting');
    await vi.advanceTimersByTimeAsync(14_900);
    expect(session.state.state).toBe('online');
    await vi.advanceTimersByTimeAsync(200);
    expect((await left).detail).toContain('XMPP_SILENT');
  } finally {
    vi.useRealTimers();
  }
});
