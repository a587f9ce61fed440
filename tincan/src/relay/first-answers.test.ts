import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { IceServer } from '@kith/protocol';
import { afterEach, expect, test } from 'vitest';
import { firstAnswers } from './first-answers.ts';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});

/** A server that answers Binding requests, with no address, or never. */
async function server(type: IceServer['type'], answers: boolean): Promise<IceServer> {
  const socket = createSocket('udp4');
  sockets.push(socket);
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  socket.on('message', (request, from) => {
    const response = Buffer.concat([Buffer.from('01010000', 'hex'), request.subarray(4, 20)]);
    if (answers) socket.send(response, from.port, from.address);
  });
  return { type, host: '127.0.0.1', port: socket.address().port };
}

test('servers that answer come before those that are down', async () => {
  const dead = await server('turn', false);
  const deaf = await server('stun', false);
  const turn = await server('turn', true);
  const stun = await server('stun', true);
  const ordered = await firstAnswers([dead, deaf, turn, stun]);
  expect(ordered).toHaveLength(4);
  expect(new Set(ordered.slice(0, 2))).toEqual(new Set([turn, stun]));
});

test('where nobody answers, and where names are unknown, the order stays', async () => {
  const servers = [
    await server('stun', false),
    { type: 'turn', host: 'nowhere.invalid', port: 3478 } as const,
    await server('turn', false),
  ];
  expect(await firstAnswers(servers)).toEqual(servers);
});

test('no servers are no wait', async () => {
  expect(await firstAnswers([])).toEqual([]);
});
