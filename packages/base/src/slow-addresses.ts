/**
 * For connect() of node:net and node:tls to a host by name. Where the name has several addresses, Node.js gives each but the last 250 ms: a server behind a slow
 * line, or whose first SYN was lost, could not be reached by a machine without IPv6 when it has an address of IPv6 too. Two and a half seconds are two SYNs
 * (RFC 6298: the second goes after one second) and a long way. What has to be quick as well tries addresses side by side (`connectAny` of the controller).
 */
export const SLOW_ADDRESSES = { autoSelectFamilyAttemptTimeout: 2_500 } as const;
