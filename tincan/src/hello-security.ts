import { decideSecurity, type Hello, type SecurityTerms, sameTerms } from '@kith/protocol';

/** What the controller says about a link's security, as XMPP brought it. */
export interface ClaimedSecurity {
  encrypted: boolean;
  /** Both ends' terms; undefined where the controller gave none, as IPOP's do. */
  terms: { mine: SecurityTerms; theirs: SecurityTerms } | undefined;
}

export interface ProvedSecurity {
  encrypted: boolean;
  /** What differs between the claim and the proof, for a person; null when nothing does. */
  mismatch: string | null;
  /**
   * This end is content with datagrams that are not encrypted: both ends' terms were confirmed inside DTLS and give that result.
   * What came by XMPP or from the controller alone is not enough.
   */
  plain: boolean;
}

/**
 * DESIGN §5: holds what came by XMPP against what the peer says inside DTLS. Where they differ, somebody may be asking for plaintext
 * on our behalf, so the link is encrypted.
 */
export function proveSecurity(claimed: ClaimedSecurity, hello: Hello): ProvedSecurity {
  const { encrypted, terms } = claimed;
  // Whoever names no terms, as IPOP's controllers with `sec` 1, wants encryption.
  if (terms === undefined || hello.security === null || hello.heard === null) {
    return { encrypted: true, mismatch: null, plain: false };
  }
  if (!sameTerms(hello.security, terms.theirs)) {
    const mismatch = "the peer's security groups arrived changed over XMPP; the link stays encrypted";
    return { encrypted: true, mismatch, plain: false };
  }
  if (!sameTerms(hello.heard, terms.mine)) {
    const mismatch = 'our security groups reached the peer changed over XMPP; the link stays encrypted';
    return { encrypted: true, mismatch, plain: false };
  }
  const plain = !encrypted && decideSecurity(terms.mine, hello.security).security === 'plain';
  return { encrypted, mismatch: null, plain };
}
