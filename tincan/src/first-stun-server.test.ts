import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { IceServer } from '@kith/protocol';
import { afterEach, expect, test, vi } from 'vitest';
import { firstStunServer } from './first-stun-server.ts';

const sockets: Socket[] = [];
let asked = 0;
afterEach(() => {
  asked = 0;
  for (const socket of sockets.splice(0)) socket.close();
});

/** A server that answers Binding requests, with no address, or never. */
async function server(answers: boolean): Promise<IceServer> {
  const socket = createSocket('udp4');
  sockets.push(socket);
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  socket.on('message', (request, from) => {
    asked++;
    const response = Buffer.concat([Buffer.from('01010000', 'hex'), request.subarray(4, 20)]);
    if (answers) socket.send(response, from.port, from.address);
  });
  return { type: 'stun', host: '127.0.0.1', port: socket.address().port };
}

test('the server that answers is taken, not one that is down or unknown', async () => {
  const silent = await server(false);
  const unknown: IceServer = { type: 'stun', host: 'nowhere.invalid', port: 3478 };
  const good = await server(true);
  expect(await firstStunServer([silent, unknown, good])).toBe(good);
});

test('where nobody answers it is the first', async () => {
  const silent = await server(false);
  expect(await firstStunServer([silent, await server(false)])).toBe(silent);
  // Each was asked twice: the first datagram may have been lost.
  await vi.waitUntil(() => asked === 4, { timeout: 5_000 });
});

test('one server, named once or twice, is not asked, nor is a TURN server', async () => {
  const only = await server(true);
  const turn: IceServer = { ...(await server(true)), type: 'turn' };
  expect(await firstStunServer([turn, only, { ...only }])).toBe(only);
  expect(await firstStunServer([turn])).toBeUndefined();
  expect(asked).toBe(0);
});
