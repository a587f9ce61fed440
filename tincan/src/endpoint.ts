/** A UDP endpoint; `ip` in canonical text form. */
export interface Endpoint {
  ip: string;
  port: number;
}

/** `ip:port`, an IPv6 address in brackets; the address must be canonical. */
export function endpointText({ ip, port }: Endpoint): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}
