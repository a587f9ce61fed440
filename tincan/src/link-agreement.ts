import type { PeerError } from '@kith/base';
import type { Hello, Translation } from '@kith/protocol';
import { accountRefusal, helloOf } from './hello.ts';
import { proveSecurity } from './hello-security.ts';
import type { LinkTerms, LocalNode } from './link-types.ts';

/** What both ends of a link have to agree on: first as the controller brings it by XMPP, then as the peer says it inside DTLS. */
export class LinkAgreement {
  #terms: LinkTerms;
  #hello: Hello | undefined;
  #refusal: PeerError | undefined;
  #mismatch: string | null = null;
  #isPlain = false;

  constructor({ encrypted, security, accounts, translation }: LinkTerms) {
    this.#terms = { encrypted, security, accounts, translation };
  }

  /** What the controller knows now; it may come with the second of IPOP's two create_link calls. */
  setTerms({ encrypted, security, accounts, translation }: LinkTerms): void {
    const known = this.#terms;
    this.#terms = {
      encrypted,
      security: security ?? known.security,
      accounts: accounts ?? known.accounts,
      translation: translation ?? known.translation,
    };
  }

  /** What the peer said; undefined before that, and where it was refused. */
  get hello(): Hello | undefined {
    return this.#hello;
  }

  /** Why the peer's hello was not accepted. */
  get refusal(): PeerError | undefined {
    return this.#refusal;
  }

  /** Both ends want the payload encrypted, as far as is known by now. */
  get isEncrypted(): boolean {
    return this.#terms.encrypted;
  }

  /** This end is content with datagrams that are not encrypted, by what was proved inside DTLS. */
  get isPlain(): boolean {
    return this.#isPlain;
  }

  /** What differs between what came by XMPP and what the peer said, for a person; null: nothing does. */
  get mismatch(): string | null {
    return this.#mismatch;
  }

  /** The address translation that the controller wants. */
  get translation(): Translation | undefined {
    return this.#terms.translation;
  }

  /** What this end says. */
  ownHello(node: LocalNode, attempt: number): Hello {
    return helloOf(node, attempt, this.#terms.security, this.#terms.accounts);
  }

  /** Holds the peer's hello against what the controller said. False, with `refusal`: there may be no link. */
  accept(hello: Hello): boolean {
    this.#refusal = accountRefusal(this.#terms.accounts, hello);
    if (this.#refusal !== undefined) return false;
    this.#hello = hello;
    const { encrypted, security } = this.#terms;
    const proved = proveSecurity({ encrypted, terms: security }, hello);
    this.#terms = { ...this.#terms, encrypted: proved.encrypted };
    this.#mismatch = proved.mismatch;
    this.#isPlain = proved.plain;
    return true;
  }
}
