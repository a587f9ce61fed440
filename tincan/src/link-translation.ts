import type { Translation } from '@kith/protocol';

export interface TranslationChoice {
  translation: Translation | undefined;
  /** What a person should know, or null. */
  note: string | null;
}

/**
 * How the IPv4 addresses of what comes over a link are rewritten. The controller says so with create_link; or, in IPOP's way, it once
 * switched translation on and named the address at which it sees the peer, and the rest follows from what the two ends have.
 *
 * @param given create_link's translation
 * @param seenAt the address of IPOP's set_remote_ip, when its set_translation is on
 * @param own this node's address
 * @param announced the peer's own address, from its hello
 */
export function translationOf(
  given: Translation | undefined,
  seenAt: string | null | undefined,
  own: string | null,
  announced: string | null,
): TranslationChoice {
  if (given !== undefined) {
    const isOther = announced !== null && announced !== given.remote_ip4;
    const note = isOther
      ? `its address is ${announced}, not ${given.remote_ip4} as was said; its IPv4 frames are dropped`
      : null;
    return { translation: given, note };
  }
  if (seenAt == null || own === null || announced === null) return { translation: undefined, note: null };
  return { translation: { remote_ip4: announced, mapped_ip4: seenAt, local_ip4: own }, note: null };
}
