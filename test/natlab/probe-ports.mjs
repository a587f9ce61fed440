/** UDP ports of the probe's server. */
export const FIRST_PORT = 7100;
export const OTHER_PORT = 7101;
/** TCP ports: the web's, and XMPP's as one of those that a strict firewall closes. */
export const TCP_PORTS = /** @type {const} */ ([443, 5222]);
