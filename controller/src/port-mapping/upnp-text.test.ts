import fc from 'fast-check';
import { expect, test } from 'vitest';
import { descriptionUrl, externalIpOf, searches, soapCall, upnpError, wanServices } from './upnp-text.ts';

const ROUTER = '192.168.1.1';
const answer = (location: string): string => `HTTP/1.1 200 OK\r\nST: x\r\nLOCATION: ${location}\r\n\r\n`;

/** One device inside another inside another, as all routers have it. */
const description = (control: string, type = 'WANIPConnection:1', base = ''): string => `<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0">${base}<device><deviceType>urn:x</deviceType><deviceList><device>
<serviceList><service><serviceType>urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType>
<controlURL>/common</controlURL></service></serviceList><deviceList><device><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:${type}</serviceType><serviceId>x</serviceId>
<SCPDURL>/x.xml</SCPDURL><controlURL>${control}</controlURL></service></serviceList></device></deviceList>
</device></deviceList></device></root>`;
const URL_OF_IT = new URL(`http://${ROUTER}:5000/rootDesc.xml`);

test('searches are complete HTTP-like messages for both generations of routers', () => {
  const texts = searches().map(String);
  expect(texts).toHaveLength(2);
  for (const text of texts)
    expect(text).toMatch(/^M-SEARCH \* HTTP\/1\.1\r\n[\s\S]*\r\nST: urn:[\w:-]+\r\n\r\n$/);
});

test("a description is read at the router only, never at anybody's whom an answer names", () => {
  expect(descriptionUrl(answer(`http://${ROUTER}:5000/rootDesc.xml`), ROUTER)?.href).toBe(URL_OF_IT.href);
  for (const location of [
    'http://127.0.0.1:5800/',
    'http://192.168.1.2/rootDesc.xml',
    `https://${ROUTER}/`,
    `http://user:word@${ROUTER}/`,
    'file:///etc/passwd',
    `http://${ROUTER}.example.org/`,
    'rootDesc.xml',
  ])
    expect(descriptionUrl(answer(location), ROUTER)).toBeUndefined();
  expect(descriptionUrl(answer(URL_OF_IT.href).replace('200 OK', '404 Not Found'), ROUTER)).toBeUndefined();
  expect(descriptionUrl('HTTP/1.1 200 OK\r\n\r\n', ROUTER)).toBeUndefined();
});

test('the service that maps ports is found, and where it is asked', () => {
  for (const type of ['WANIPConnection:1', 'WANIPConnection:2', 'WANPPPConnection:1']) {
    expect(wanServices(description('/ctl/IPConn', type), URL_OF_IT)).toEqual([
      { type: `urn:schemas-upnp-org:service:${type}`, control: new URL('/ctl/IPConn', URL_OF_IT) },
    ]);
  }
  expect(wanServices(description('/x', 'Layer3Forwarding:1'), URL_OF_IT)).toEqual([]);
  expect(wanServices(description('http://127.0.0.1/x'), URL_OF_IT)).toEqual([]);
});

test('URLBase moves it, but not away from the router', () => {
  const at = (base: string) =>
    wanServices(description('ctl', 'WANIPConnection:1', `<URLBase>${base}</URLBase>`), URL_OF_IT)[0]?.control
      .href;
  expect(at(`http://${ROUTER}:49152/igd/`)).toBe(`http://${ROUTER}:49152/igd/ctl`);
  expect(at('http://10.0.0.1/igd/')).toBe(`http://${ROUTER}:5000/ctl`);
});

test('a call and its answers', () => {
  const call = soapCall('urn:t', 'AddPortMapping', { NewRemoteHost: '', NewExternalPort: 7 });
  expect(call).toContain(
    '<u:AddPortMapping xmlns:u="urn:t"><NewRemoteHost></NewRemoteHost><NewExternalPort>7</NewExternalPort>',
  );
  const wrap = (text: string) => `<s:Envelope xmlns:s="x"><s:Body>${text}</s:Body></s:Envelope>`;
  const ip = (text: string) =>
    externalIpOf(wrap(`<u:R xmlns:u="y"><NewExternalIPAddress>${text}</NewExternalIPAddress></u:R>`));
  expect(ip('203.0.113.5')).toBe('203.0.113.5');
  expect([ip(''), ip('example.org'), ip('2001:db8::1')]).toEqual([undefined, undefined, undefined]);
  expect(
    upnpError(wrap('<s:Fault><detail><UPnPError><errorCode>718</errorCode></UPnPError></detail></s:Fault>')),
  ).toBe(718);
  expect(upnpError('no XML')).toBeUndefined();
});

test('no bytes make a reader fail', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(() => descriptionUrl(text, ROUTER)).not.toThrow();
      expect(() => descriptionUrl(answer(text), ROUTER)).not.toThrow();
      expect(() =>
        wanServices(description(text, 'WANIPConnection:1', `<URLBase>${text}</URLBase>`), URL_OF_IT),
      ).not.toThrow();
    }),
  );
});
