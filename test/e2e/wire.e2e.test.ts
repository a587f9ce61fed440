import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Host, Lab, measureTcp, ping, Wire } from '../lab/index.ts';

let lab: Lab;
let near: Host;

beforeAll(async () => {
  lab = await Lab.create({ name: 'wire' });
  near = await lab.host('near');
});
afterAll(async () => lab?.destroy());

async function behindWire(name: string, options: Parameters<typeof Wire.insert>[2]): Promise<[Host, Wire]> {
  const host = await lab.host(name);
  return [host, await Wire.insert(lab, host, options)];
}

test('delays frames as long as it was told, each way by itself', async () => {
  const [far] = await behindWire('delayed', { toHost: { delayMs: 30 }, fromHost: { delayMs: 20 } });
  const { received, rtt } = await ping(near, far.ip4, { count: 20, intervalMs: 20 });
  expect(received).toBe(20);
  expect(rtt?.min).toBeGreaterThanOrEqual(50);
  expect(rtt?.min).toBeLessThan(100);
  // IPv6 and its neighbour discovery pass as well.
  expect((await ping(near, far.ip6, { count: 2, intervalMs: 100 })).received).toBe(2);
});

test('loses the share that it was told, in one direction only, and counts it', async () => {
  const [far, wire] = await behindWire('lossy', { toHost: { loss: 0.2 }, seed: 7 });
  const { sent, received } = await ping(near, far.ip4, { count: 1000, intervalMs: 2 });
  // Twelve standard deviations of 1000 draws, and ARP's frames besides.
  expect(received / sent).toBeGreaterThan(0.65);
  expect(received / sent).toBeLessThan(0.95);
  // A busy machine may lose some before they reach the wire, so that what is missing is no measure of what the wire took.
  const { lost } = (await wire.counters()).to_host;
  expect(lost).toBeGreaterThan(100);
  expect(lost).toBeLessThan(300);
  expect((await wire.counters()).from_host).toMatchObject({ lost: 0, overflowed: 0, refused: 0 });
});

test('lets later frames overtake the ones it holds back', async () => {
  const [far, wire] = await behindWire('disordered', { toHost: { reorder: 0.3, reorderMs: 15 } });
  const result = await near.exec('ping', ['-n', '-c', '300', '-i', '0.005', far.ip4]);
  const order = [...result.stdout.matchAll(/icmp_seq=(\d+)/g)].map((match) => Number(match[1]));
  expect(order).toHaveLength(300);
  expect(order).not.toEqual(order.toSorted((one, other) => one - other));
  expect((await wire.counters()).to_host.overtaken).toBeGreaterThan(0);
});

test('carries a TCP stream without loss of its own', async () => {
  const [far, wire] = await behindWire('plain', {});
  const { mbps } = await measureTcp(near, far, far.ip4, 2);
  expect(mbps).toBeGreaterThan(50);
  const counters = await wire.counters();
  expect(counters.to_host).toMatchObject({ lost: 0, overflowed: 0, refused: 0 });
  console.log(`a wire that only forwards: ${mbps.toFixed(0)} Mbit/s`);
});
