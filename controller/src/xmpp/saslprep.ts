import { ConfigError } from '@kith/base';

/** RFC 3454 table C.1.2, non-ASCII spaces, which SASLprep turns into the ordinary space. */
const OTHER_SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g;
/** RFC 3454 table B.1, what SASLprep leaves out: soft hyphen, joiners, variation selectors. U+200B counts as a space above (RFC 4013 §2.1). */
const NOTHING = new RegExp(
  // Built from code points, because a class that holds joiners literally is unreadable and a trap for editors.
  ['\u00ad', '\u034f', '\u1806', '\u180b', '\u180c', '\u180d', '\u200c', '\u200d', '\u2060', '\ufeff']
    .concat(Array.from({ length: 16 }, (_, i) => String.fromCodePoint(0xfe00 + i)))
    .join('|'),
  'g',
);
/** RFC 3454 tables C.2 to C.9 as Unicode names them: controls, private use, surrogates, unassigned non-characters, formatting. */
const FORBIDDEN = /[\p{Cc}\p{Co}\p{Cs}\p{Cf}\u2028\u2029\ufff9-\uffff]/u;

/**
 * SASLprep (RFC 4013) of a user name or password, so that one typed as composed or decomposed letters gives the same bytes. The
 * rule on mixed writing directions is left to the server: it can only refuse, never change bytes.
 * @throws ConfigError XMPP_CREDENTIAL_CHARACTERS on a character that no credential may hold
 */
export function prepareCredential(text: string, field: string): string {
  const prepared = text.replace(OTHER_SPACES, ' ').replace(NOTHING, '').normalize('NFKC');
  if (FORBIDDEN.test(prepared)) {
    throw new ConfigError('XMPP_CREDENTIAL_CHARACTERS', 'holds a control or other forbidden character', {
      field,
    });
  }
  return prepared;
}
