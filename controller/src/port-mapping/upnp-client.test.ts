import { afterEach, expect, test } from 'vitest';
import { type FakeRouter, loopbackNetwork, upnpRouter } from './fake-router.test.helper.ts';
import type { MappingRequest } from './mapping.ts';
import { mapByUpnp } from './upnp-client.ts';

let router: FakeRouter | undefined;

afterEach(async () => {
  await router?.close();
  router = undefined;
});

const DESCRIPTION = `<root><device><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/ctl</controlURL>
</service></serviceList></device></root>`;
const OK = { status: 200, body: '<ok/>' };
const ADDRESS = { status: 200, body: '<r><NewExternalIPAddress>203.0.113.5</NewExternalIPAddress></r>' };
const fault = (code: number) => ({ status: 500, body: `<f><errorCode>${code}</errorCode></f>` });

function request(): MappingRequest {
  return { network: loopbackNetwork(), port: 4_660, signal: AbortSignal.timeout(10_000) };
}

/** A router of IGD 1 that answers AddPortMapping as told. */
function home(wish: MappingRequest, add: (body: string) => { status: number; body: string }) {
  return upnpRouter(wish.network, (path, body) => {
    if (path === '/desc.xml') return { status: 200, body: DESCRIPTION };
    if (body.includes('GetExternalIPAddress')) return ADDRESS;
    return body.includes('AddPortMapping') ? add(body) : OK;
  });
}

test('a port is mapped for this machine alone, renewed, and taken back by the outer port and protocol', async () => {
  const wish = request();
  const bodies: string[] = [];
  router = await home(wish, (body) => {
    bodies.push(body);
    return OK;
  });
  const mapping = await mapByUpnp(wish, 'kith demo');
  expect(mapping).toMatchObject({ by: 'upnp', ip: '203.0.113.5', port: 4_660, lifetimeMs: 3_600_000 });
  expect(bodies[0]).toContain('<NewInternalClient>127.0.0.1</NewInternalClient>');
  expect(bodies[0]).toContain('<NewPortMappingDescription>kith demo</NewPortMappingDescription>');
  await mapping.renew(wish.signal);
  await mapping.release(wish.signal);
  expect(router.requests).toEqual([
    'GET /desc.xml',
    ...['POST /ctl GetExternalIPAddress', 'POST /ctl AddPortMapping'],
    ...['POST /ctl GetExternalIPAddress', 'POST /ctl AddPortMapping'],
    'POST /ctl DeletePortMapping',
  ]);
});

test("a port that is another machine's is left to it", async () => {
  const wish = request();
  router = await home(wish, (body) => (body.includes('<NewExternalPort>4660<') ? fault(718) : OK));
  const { port } = await mapByUpnp(wish, 'kith demo');
  expect(port).toBeGreaterThanOrEqual(49_152);
});

test('a router that knows permanent mappings only gets one', async () => {
  const wish = request();
  router = await home(wish, (body) => (body.includes('<NewLeaseDuration>0<') ? OK : fault(725)));
  expect(await mapByUpnp(wish, 'kith demo')).toMatchObject({ port: 4_660 });
});

test('a refusal carries its number', async () => {
  const wish = request();
  router = await home(wish, () => fault(606));
  await expect(mapByUpnp(wish, 'kith demo')).rejects.toMatchObject({
    code: 'PORT_REFUSED',
    message: 'the router refuses AddPortMapping by upnp: error 606',
  });
});

test('an answer that leads elsewhere than to the router is not followed', async () => {
  const wish = request();
  router = await upnpRouter(
    wish.network,
    () => OK,
    (port) => `http://127.0.0.1:${port}/desc.xml`,
  );
  await expect(mapByUpnp(wish, 'kith demo')).rejects.toMatchObject({ code: 'ROUTER_SILENT' });
  expect(router.requests).toEqual([]);
});

test('an endless description is not read to its end', async () => {
  const wish = request();
  router = await upnpRouter(wish.network, () => ({ status: 200, body: '<a>'.repeat(100_000) }));
  await expect(mapByUpnp(wish, 'kith demo')).rejects.toMatchObject({ code: 'ROUTER_TALKS' });
});
