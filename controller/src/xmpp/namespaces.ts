/** XML namespaces on the wire to the hub. */
export const NS = {
  client: 'jabber:client',
  streams: 'http://etherx.jabber.org/streams',
  streamErrors: 'urn:ietf:params:xml:ns:xmpp-streams',
  stanzaErrors: 'urn:ietf:params:xml:ns:xmpp-stanzas',
  tls: 'urn:ietf:params:xml:ns:xmpp-tls',
  sasl: 'urn:ietf:params:xml:ns:xmpp-sasl',
  bind: 'urn:ietf:params:xml:ns:xmpp-bind',
  sm: 'urn:xmpp:sm:3',
  framing: 'urn:ietf:params:xml:ns:xmpp-framing',
  ping: 'urn:xmpp:ping',
  roster: 'jabber:iq:roster',
  blocking: 'urn:xmpp:blocking',
  extdisco: 'urn:xmpp:extdisco:2',
  /** IPOP's namespace, kept by DESIGN §4. */
  tincan: 'jabber:iq:tincan',
  /** Kith's own: what a node says of itself with its presence. */
  node: 'urn:kith:node:1',
} as const;
