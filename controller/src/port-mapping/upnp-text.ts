import { isIPv4 } from 'node:net';
import { xmlLeaves } from './xml-leaves.ts';

/** UPnP Device Architecture 1.1 §1.1.2. */
export const SSDP_GROUP = '239.255.255.250';
export const SSDP_PORT = 1_900;

/** The services that map ports: of routers with an address of their own, and of those that dial in. */
const WAN_SERVICE = /^urn:schemas-upnp-org:service:WAN(?:IP|PPP)Connection:[12]$/;

/** UPnP is searched for by what it has; the older devices do not answer for the newer names. */
const SEARCHED = [
  'urn:schemas-upnp-org:device:InternetGatewayDevice:1',
  'urn:schemas-upnp-org:device:InternetGatewayDevice:2',
];

/** A router has one or two ways out. */
const MAX_SERVICES = 4;

/** Errors of WANIPConnection's AddPortMapping. */
export const UPNP_CONFLICT = 718;
export const UPNP_ONLY_PERMANENT = 725;

/** The searches to send; MX is the number of seconds over which answers may be spread. */
export function searches(): Buffer[] {
  return SEARCHED.map((target) =>
    Buffer.from(
      [
        'M-SEARCH * HTTP/1.1',
        `HOST: ${SSDP_GROUP}:${SSDP_PORT}`,
        'MAN: "ssdp:discover"',
        'MX: 1',
        `ST: ${target}`,
        '',
        '',
      ].join('\r\n'),
      'latin1',
    ),
  );
}

/**
 * Where the answer to a search says that the device is described. Only at the router itself: an answer must not lead us to ask others,
 * this machine's own services among them.
 */
export function descriptionUrl(answer: string, router: string): URL | undefined {
  if (!/^HTTP\/1\.[01] 200\b/.test(answer)) return undefined;
  const location = /^location:[ \t]*(\S{1,512})[ \t]*$/im.exec(answer)?.[1];
  return location === undefined ? undefined : urlAt(location, undefined, router);
}

function urlAt(text: string, base: URL | undefined, router: string): URL | undefined {
  if (!URL.canParse(text, base?.href)) return undefined;
  const url = new URL(text, base);
  return url.protocol === 'http:' && url.hostname === router && url.username === '' ? url : undefined;
}

/** A service that maps ports, and where it is asked. */
export interface WanService {
  type: string;
  control: URL;
}

/** The services that map ports in a device's description that was read at `url`. */
export function wanServices(description: string, url: URL): WanService[] {
  const leaves = xmlLeaves(description);
  const router = url.hostname;
  // UPnP Device Architecture 1.0 §2.1: what relative addresses are relative to, where it is not the description itself.
  const baseText = leaves.find(({ name }) => name === 'URLBase')?.text;
  const base = (baseText === undefined ? undefined : urlAt(baseText, url, router)) ?? url;
  const found: WanService[] = [];
  for (const { name, text, within } of leaves) {
    if (name !== 'serviceType' || !WAN_SERVICE.test(text) || found.length === MAX_SERVICES) continue;
    const controlText = leaves.find((leaf) => leaf.within === within && leaf.name === 'controlURL')?.text;
    const control = controlText === undefined ? undefined : urlAt(controlText, base, router);
    if (control !== undefined) found.push({ type: text, control });
  }
  return found;
}

export type UpnpArguments = Readonly<Record<string, string | number>>;

/** The body of a call. Names and values must need no escaping. */
export function soapCall(type: string, action: string, values: UpnpArguments): string {
  const fields = Object.entries(values).map(([name, value]) => `<${name}>${value}</${name}>`);
  return [
    '<?xml version="1.0"?>\r\n',
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"',
    ' s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>',
    `<u:${action} xmlns:u="${type}">${fields.join('')}</u:${action}>`,
    '</s:Body></s:Envelope>\r\n',
  ].join('');
}

/** The error number of a refusal; undefined when there is none in it. */
export function upnpError(body: string): number | undefined {
  const text = xmlLeaves(body).find(({ name }) => name === 'errorCode')?.text ?? '';
  return /^\d{1,5}$/.test(text) ? Number(text) : undefined;
}

/** The outer IPv4 address in the answer to GetExternalIPAddress. */
export function externalIpOf(body: string): string | undefined {
  const text = xmlLeaves(body).find(({ name }) => name === 'NewExternalIPAddress')?.text ?? '';
  return isIPv4(text) ? text : undefined;
}
