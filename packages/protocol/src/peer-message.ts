/**
 * What tincan itself tells its controller. A message from elsewhere must not be able to pass for one of these; con_resp is not among
 * them, since IPOP's own controllers say it to each other, and tincan's has fields that a peer's message cannot have.
 */
export const RESERVED_MESSAGES: ReadonlySet<string> = new Set([
  'local_state',
  'peer_state',
  'con_stat',
  'link_wanted',
  'link_suspect',
  'network_changed',
  'path_events',
  'peer_message',
  'xmpp_state',
  'ok',
  'error',
  'echo_request',
  'echo_reply',
]);
