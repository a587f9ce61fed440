import { PeerError } from '@kith/base';
import {
  ACCOUNT_MISMATCH,
  ACCOUNT_MISTOLD,
  type AccountPair,
  DIRECT_FEATURE,
  DIRECT_RELAY_FEATURE,
  type Hello,
  NETWORK_FEATURE,
  RELAY_FEATURE,
} from '@kith/protocol';
import type { LinkTerms, LocalNode } from './link-types.ts';

/** What this end says of itself when the channels of a link are open. */
export function helloOf(
  node: LocalNode,
  attempt: number,
  security: LinkTerms['security'],
  accounts: LinkTerms['accounts'],
): Hello {
  return {
    ...{ t: 'hello', v: 1, uid: node.identity.uid, attempt },
    ip4: node.ip4,
    ip6: node.ip6,
    security: security?.mine ?? null,
    heard: security?.theirs ?? null,
    ...(accounts === undefined ? {} : { accounts }),
    layer: node.layer(),
    features: [
      RELAY_FEATURE,
      NETWORK_FEATURE,
      ...(node.direct === undefined ? [] : [DIRECT_FEATURE, DIRECT_RELAY_FEATURE]),
    ],
  };
}

/**
 * Holds whose the peer is by XMPP against what the peer itself says inside DTLS. XMPP proves which account a description came from, and
 * DTLS which node it describes; only the node can say that the two belong together. Otherwise a member who hands on the descriptions of
 * two others under his own name would be taken for the owner of both. The comparison is the same at both ends, so that both refuse.
 * @param mine what this end's controller said; undefined: it knows of no accounts, as IPOP's do, and nothing is compared
 * @returns why the link may not be, with the code ACCOUNT_MISMATCH or ACCOUNT_MISTOLD; undefined: nothing is against it
 */
export function accountRefusal(
  mine: AccountPair | undefined,
  { accounts: said }: Pick<Hello, 'accounts'>,
): PeerError | undefined {
  if (mine === undefined) return undefined;
  if (said === undefined) {
    const what = 'the node does not say which account it belongs to';
    return new PeerError(ACCOUNT_MISMATCH, what, { field: 'accounts' });
  }
  if (said.mine !== mine.theirs) {
    const what = 'the node itself says that it belongs to another account than the one that signalled for it';
    return new PeerError(ACCOUNT_MISMATCH, what, { field: 'accounts.mine' });
  }
  if (said.theirs !== mine.mine) {
    const what = 'the node was told that this node belongs to another account than it does';
    return new PeerError(ACCOUNT_MISTOLD, what, { field: 'accounts.theirs' });
  }
  return undefined;
}

/** For the story of a link between a node of layer 2 and one of layer 3; empty where both are alike, or the peer has not said. */
export function layerText(node: Pick<LocalNode, 'layer'>, { layer }: Pick<Hello, 'layer'>): string {
  const ours = node.layer();
  return layer === undefined || layer === ours
    ? ''
    : `; the peer runs layer ${layer}, this node layer ${ours}`;
}
