import { expect, test } from 'vitest';
import { type Answers, findings } from './probe.ts';

const answers = (change: Partial<Answers>): Answers => ({
  own: '5000',
  seen: Array<string>(4).fill('203.0.113.9 5000'),
  ...{
    fromOtherAddress: false,
    fromOtherPort: false,
    hairpin: false,
    largeUp: true,
    largeDown: true,
    tcp: [],
  },
  ...change,
});

test('one outer address for all destinations is independent mapping, also when the port is kept', () => {
  expect(findings(answers({}), '192.168.1.2').udp).toEqual({
    mapping: 'independent',
    filtering: 'address-port',
  });
});

test('the own address seen by all is no NAT', () => {
  expect(findings(answers({ fromOtherAddress: true }), '203.0.113.9').udp).toEqual({
    mapping: 'none',
    filtering: 'independent',
  });
});

test('another port for another destination is dependent mapping', () => {
  const seen = ['203.0.113.9 5000', '203.0.113.9 5000', '203.0.113.9 6000', '203.0.113.9 7000'];
  expect(findings(answers({ seen, fromOtherPort: true }), '192.168.1.2').udp).toEqual({
    mapping: 'dependent',
    filtering: 'address',
  });
});

test('no answer at all is no UDP', () => {
  expect(findings(answers({ seen: [null, null, null, null] }), '192.168.1.2').udp).toBeNull();
});
