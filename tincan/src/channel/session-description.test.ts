import { expect, test } from 'vitest';
import { iceCredentialsOf, remoteAnswer } from './session-description.ts';

const SMALL = '00'.repeat(20);
const LARGE = 'ff'.repeat(20);
const ICE = { ufrag: 'abcd', pwd: '0123456789012345678901' };
const FPR = Array(32).fill('AB').join(':');

test('the end with the larger UID is the DTLS server, from either point of view', () => {
  expect(remoteAnswer(SMALL, LARGE, FPR, ICE, 65_536)).toContain('a=setup:passive\r\n');
  expect(remoteAnswer(LARGE, SMALL, FPR, ICE, 65_536)).toContain('a=setup:active\r\n');
});

test('the answer carries what the peer signalled, and its credentials are read back from it', () => {
  const sdp = remoteAnswer(SMALL, LARGE, FPR, ICE, 65_536);
  expect(sdp).toContain(`a=fingerprint:sha-256 ${FPR}\r\n`);
  expect(sdp).toContain('a=max-message-size:65536\r\n');
  expect(iceCredentialsOf(sdp)).toEqual(ICE);
});

test.each(['', 'v=0\r\n', 'a=ice-ufrag:abcd\r\n', 'a=ice-pwd:x\r\n', 'xa=ice-ufrag:abcd\r\nxa=ice-pwd:x'])(
  'a description without both credentials has none: %j',
  (sdp) => {
    expect(iceCredentialsOf(sdp)).toBeUndefined();
  },
);
