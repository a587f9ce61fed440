import fc from 'fast-check';
import { expect, test } from 'vitest';
import { defaultRoute } from './home-network.ts';

const HEAD = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n';
const route = (
  name: string,
  gateway: string,
  metric: number,
  flags = '0003',
  destination = '00000000',
): string => `${name}\t${destination}\t${gateway}\t${flags}\t0\t0\t${metric}\t00000000\t0\t0\t0\n`;
const nobody = () => false;

test('the default route of least metric is found, its address in the order of the machine', () => {
  const text = HEAD + route('wlan0', '0101A8C0', 600) + route('eth0', 'FE01A8C0', 100);
  expect(defaultRoute(text, nobody, true)).toEqual({ interface: 'eth0', gateway: '192.168.1.254' });
  expect(defaultRoute(HEAD + route('eth0', 'C0A80101', 1), nobody, false)?.gateway).toBe('192.168.1.1');
});

test('routes without a router, other routes, and excluded interfaces do not count', () => {
  const text = [
    HEAD,
    route('ppp0', '00000000', 0, '0001'),
    route('eth0', '0101A8C0', 0, '0003', '0000000A'),
    route('tun0', '0100080A', 0),
    route('eth1', '0102A8C0', 50),
  ].join('');
  expect(defaultRoute(text, (name) => name === 'tun0', true)).toEqual({
    interface: 'eth1',
    gateway: '192.168.2.1',
  });
  expect(defaultRoute(HEAD, nobody, true)).toBeUndefined();
});

test('no text makes it fail', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(() => defaultRoute(text, nobody, true)).not.toThrow();
    }),
  );
});
