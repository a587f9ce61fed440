import { afterEach, expect, test } from 'vitest';
import { type FakeRouter, loopbackNetwork, portControlRouter } from './fake-router.test.helper.ts';
import type { MappingRequest } from './mapping.ts';
import { mapByPortControl } from './port-control-client.ts';

const NONCE = Buffer.from('0102030405060708090a0b0c', 'hex');
const PORT = 4_660;

let router: FakeRouter | undefined;

afterEach(async () => {
  await router?.close();
  router = undefined;
});

function request(network = loopbackNetwork()): MappingRequest {
  return { network, port: PORT, signal: AbortSignal.timeout(10_000) };
}

/** What a PCP server makes of a request: port 5678 (hex) of 203.0.113.5. */
function pcp(from: string, result = '00'): string {
  const lifetime = from.slice(8, 16);
  return `0281${'00'}${result}${lifetime}${'00'.repeat(16)}${from.slice(48, 84)}567800000000000000000000ffffcb007105`;
}

test('PCP maps, renews with the port that was given, and takes back', async () => {
  const wish = request();
  router = await portControlRouter(wish.network, (asked) => [pcp(asked)]);
  const mapping = await mapByPortControl(wish, NONCE);
  expect(mapping).toMatchObject({ by: 'pcp', ip: '203.0.113.5', port: 0x5678, lifetimeMs: 3_600_000 });
  expect(await mapping.renew(wish.signal)).toMatchObject({ port: 0x5678 });
  await mapping.release(wish.signal);
  const [first = '', second = '', third = ''] = router.requests;
  expect([first.slice(80, 88), second.slice(80, 88)]).toEqual(['12341234', '12345678']);
  expect(third.slice(8, 16)).toBe('00000000');
});

test('of a nonce that is too long, the first bytes count', async () => {
  const wish = request();
  router = await portControlRouter(wish.network, (asked) => [pcp(asked)]);
  expect(await mapByPortControl(wish, Buffer.concat([NONCE, NONCE]))).toMatchObject({ by: 'pcp' });
});

test('forged and broken answers are passed over: short ones, another nonce, another port', async () => {
  const wish = request();
  router = await portControlRouter(wish.network, (asked) => [
    '00',
    '0281',
    'ff'.repeat(60),
    pcp(asked).replace('0102030405060708090a0b0c', 'ff02030405060708090a0b0c'),
    pcp(asked.replace('12341234', '99991234')),
    pcp(asked),
  ]);
  expect(await mapByPortControl(wish, NONCE)).toMatchObject({ by: 'pcp', port: 0x5678 });
});

test('a router that knows NAT-PMP only is asked by it', async () => {
  const wish = request();
  router = await portControlRouter(wish.network, (asked) => {
    if (asked.startsWith('02')) return ['0081000100000001'];
    if (asked === '0000') return ['0080000000000001cb007105'];
    return [`008100000000000112345678${asked.slice(16)}`];
  });
  const mapping = await mapByPortControl(wish, NONCE);
  expect(mapping).toMatchObject({ by: 'nat-pmp', ip: '203.0.113.5', port: 0x5678, lifetimeMs: 3_600_000 });
  await mapping.release(wish.signal);
  expect(router.requests.at(-1)).toBe('000100001234000000000000');
});

test('a refusal says why in words', async () => {
  const wish = request();
  router = await portControlRouter(wish.network, (asked) => [pcp(asked, '02')]);
  await expect(mapByPortControl(wish, NONCE)).rejects.toMatchObject({
    code: 'PORT_REFUSED',
    message: 'the router refuses by pcp: it is not allowed',
  });
});

test('where nobody listens, the kernel says so at once', async () => {
  await expect(mapByPortControl(request(), NONCE)).rejects.toMatchObject({ code: 'ROUTER_SILENT' });
});

test('a router that swallows requests is asked three times, and a try can be ended', async () => {
  const wish = request();
  router = await portControlRouter(wish.network, () => []);
  await expect(mapByPortControl(wish, NONCE)).rejects.toMatchObject({ code: 'ROUTER_SILENT' });
  expect(router.requests).toHaveLength(3);
  const ended = { ...wish, signal: AbortSignal.abort() };
  await expect(mapByPortControl(ended, NONCE)).rejects.toMatchObject({ code: 'ROUTER_SILENT' });
});
