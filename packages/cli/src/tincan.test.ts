import { expect, test } from 'vitest';
import { EXIT } from './exit-codes.ts';
import { runKith } from './program.ts';

async function kith(...args: string[]): Promise<{ code: number; err: string }> {
  let err = '';
  const code = await runKith(args, {
    out: () => {},
    err: (text) => {
      err += text;
    },
  });
  return { code, err };
}

test.each([
  [[], /--tap/],
  [['--tap', 'a/b'], /--tap: expected a name/],
  [['--tap', 'x'.repeat(16)], /--tap: expected a name/],
  [['--tap', '..'], /--tap: expected a name/],
  [['--tap', 'ipop', '--port', '0'], /--port: expected a port/],
  [['--tap', 'ipop', '--port', '65536'], /--port: expected a port/],
  [['--tap', 'ipop', '--port', '58OO'], /--port: expected a port/],
  [['--tap', 'ipop', '--api-auth', 'maybe'], /--api-auth: expected "secret" or "none"/],
  [['--tap', 'ipop', '--user', 'root'], /--user: expected .* not root/],
  [['--tap', 'ipop', '--user', 'no such user'], /--user: expected the name of a user/],
  [['--tap', 'ipop', '--xmpp-ca', '/nowhere/ca.pem'], /--xmpp-ca: cannot be read: ENOENT/],
  [['--tap', 'ipop', '--xmpp-ca', '/dev/null'], /--xmpp-ca: expected a PEM certificate/],
])('kith tincan %j is refused, naming the option', async (args, words) => {
  const { code, err } = await kith('tincan', ...args);
  expect(code).toBe(EXIT.usage);
  expect(err).toMatch(words);
});
