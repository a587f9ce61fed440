import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PORT_CONTROL_PORT } from '@kith/protocol';
import type { HomeNetwork } from './home-network.ts';

let last = 0;

/** A network whose router is this machine, by an address of its own: 127.0.0.0/8 is all ours, and tests run side by side. */
export function loopbackNetwork(): HomeNetwork {
  const gateway = `127.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}.${++last + 1}`;
  return { interface: 'lo', gateway, localIp: '127.0.0.1' };
}

export interface FakeRouter {
  requests: string[];
  close(): Promise<void>;
}

/** Answers PCP and NAT-PMP as `answer` says: hex in, hex out. */
export async function portControlRouter(
  { gateway }: HomeNetwork,
  answer: (request: string) => readonly string[],
): Promise<FakeRouter> {
  const socket = createSocket('udp4');
  const requests: string[] = [];
  socket.on('message', (data, from) => {
    const request = data.toString('hex');
    requests.push(request);
    for (const reply of answer(request)) socket.send(Buffer.from(reply, 'hex'), from.port, from.address);
  });
  socket.bind({ port: PORT_CONTROL_PORT, address: gateway });
  await once(socket, 'listening');
  return { requests, close: async () => void socket.close() };
}

/** Answers UPnP: searches with `location`, HTTP as `answer` says. */
export async function upnpRouter(
  { gateway }: HomeNetwork,
  answer: (path: string, body: string) => { status: number; body: string },
  location = (port: number) => `http://${gateway}:${port}/desc.xml`,
): Promise<FakeRouter> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts).toString();
      requests.push(`${request.method} ${request.url} ${/<u:(\w+)/.exec(body)?.[1] ?? ''}`.trim());
      const { status, body: text } = answer(request.url ?? '', body);
      response.writeHead(status, { 'content-type': 'text/xml' }).end(text);
    });
  });
  server.listen(0, gateway);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // of a server that listens on TCP
  const socket = createSocket('udp4');
  socket.on('message', (_, from) => {
    socket.send(`HTTP/1.1 200 OK\r\nLOCATION: ${location(port)}\r\n\r\n`, from.port, from.address);
  });
  socket.bind({ port: 1_900, address: gateway });
  await once(socket, 'listening');
  return {
    requests,
    close: async () => {
      socket.close();
      server.closeAllConnections();
      server.close();
    },
  };
}
