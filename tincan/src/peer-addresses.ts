import { describeError, type Logger, PeerError } from '@kith/base';
import type { Hello, Uid } from '@kith/protocol';
import { AddressBook } from './address-book.ts';
import { ipBytes } from './address-bytes.ts';
import type { Link } from './link.ts';
import { translationOf } from './link-translation.ts';
import type { Members } from './members.ts';
import type { Overlay } from './overlay.ts';

/** A member, as set_member names it. */
export interface NamedMember {
  uid: Uid;
  ip4?: string | null | undefined;
  ip6?: string | null | undefined;
  ip4_translated?: boolean | undefined;
}

/** IPOP's marker for "switch mode: index by uid only". */
const UID_ONLY = '127.0.0.1';

/** By which overlay addresses this node knows the others: what the controller said of members, and what links come with. */
export class PeerAddresses {
  readonly #me: Uid;
  readonly #overlay: Overlay;
  readonly #members: Members;
  readonly #log: Logger;
  readonly #book = new AddressBook();
  /** IPOP's set_translation: members are seen at the address that set_remote_ip gave them. */
  translates = false;

  constructor(me: Uid, overlay: Overlay, members: Members, log: Logger) {
    this.#me = me;
    this.#overlay = overlay;
    this.#members = members;
    this.#log = log;
  }

  /** @throws PeerError UID_OURS, SystemError MEMBER_LIMIT, or what Overlay.setMember throws. */
  setMember({ uid, ip4, ip6, ip4_translated }: NamedMember): void {
    if (uid === this.#me) throw new PeerError('UID_OURS', 'uid: is this node', { field: 'uid' });
    const member = { uid, ip4: ip4 ?? null, ip6: ip6 ?? null, isTranslated: ip4_translated ?? false };
    this.#overlay.setMember(member);
    this.#members.set(member);
  }

  removeMember(uid: Uid): void {
    if (this.#members.remove(uid)) this.#overlay.removeMember(uid);
  }

  /** IPOP's call: a member's addresses, which an online link of his gets beside those that it came with. @throws as setMember. */
  setRemoteIp(
    { uid, ip4, ip6 }: { uid: Uid; ip4?: string | undefined; ip6?: string | undefined },
    link: Link | undefined,
  ): void {
    const isMarker = ip4 === UID_ONLY;
    this.setMember(isMarker ? { uid } : { uid, ip4, ip6 });
    if (link === undefined || isMarker || this.translates) return;
    if (ip4 !== undefined) this.#add(link, 'ip4', ip4);
    if (ip6 !== undefined) this.#add(link, 'ip6', ip6);
  }

  /** To a new TAP device, of the members that were named before. */
  tellAll(): void {
    for (const member of [...this.#members.all()]) {
      try {
        this.#overlay.setMember(member);
      } catch (error) {
        // Two UIDs may have one MAC, if somebody made his so; that must not cost the network.
        this.#log.warn({ err: error, peer: member.uid }, `a member is left out: ${describeError(error)}`);
        this.#members.remove(member.uid);
      }
    }
  }

  /** Binds a link that came up to the addresses that its hello names, or to those at which this node is to see it. */
  bind(link: Link, hello: Hello): void {
    const member = this.#members.get(link.uid);
    const { translation, note } = translationOf(
      link.translation,
      this.translates ? member?.ip4 : undefined,
      this.#overlay.ip4,
      hello.ip4,
    );
    if (note !== null) link.note = note;
    const ip4 = translation?.mapped_ip4 ?? (member?.isTranslated === true ? null : hello.ip4);
    const known = this.#claimed(link, ip4);
    if (translation !== undefined) link.seenAt = known;
    this.#overlay.bindLink(link.slot, link.uid, {
      ip4: known,
      ip6: this.#claimed(link, hello.ip6),
      // Without the address that it leads to, a translation would give the peer somebody else's.
      translation: known === null ? undefined : translation,
      layer: hello.layer,
    });
  }

  /** A node has no link any more: its addresses are free. */
  release(uid: Uid): void {
    this.#book.release(uid);
  }

  /** The address, unless it is ours or another link's: the first claim stands. */
  #claimed(link: Link, address: string | null): string | null {
    if (address === null) return null;
    const isOurs = address === this.#overlay.ip4 || address === this.#overlay.ip6;
    const holder = isOurs ? 'this node' : this.#book.claim(address, link.uid);
    if (holder === undefined) return address;
    link.note = `its address ${address} is already that of ${holder}; frames from it are dropped`;
    this.#log.warn({ peer: link.uid }, link.note);
    return null;
  }

  #add(link: Link, kind: 'ip4' | 'ip6', address: string): void {
    const claimed = this.#claimed(link, address);
    if (claimed !== null) this.#overlay.tap?.bind(link.slot, kind, ipBytes(claimed));
  }
}
