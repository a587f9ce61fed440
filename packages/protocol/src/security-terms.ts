import { z } from 'zod';

export const SECURITY_MODES = ['always', 'groups', 'never'] as const;
export type SecurityMode = (typeof SECURITY_MODES)[number];

/** Names of security groups per node; enough for people, small enough to stay in one stanza. */
export const MAX_GROUPS = 64;
const MAX_GROUP_CHARS = 64;

export const groupList = z.array(z.string().min(1).max(MAX_GROUP_CHARS)).max(MAX_GROUPS);

/** What one end says about its security: how it decides, and its security groups. */
export const securityTerms = z.object({
  mode: z.enum(SECURITY_MODES),
  groups: groupList,
  /** With mode `groups`: what to do when the two ends share none. */
  without_common_group: z.enum(['plain', 'refuse']).default('plain'),
});
export type SecurityTerms = z.output<typeof securityTerms>;

export type SecurityDecision =
  | { security: 'encrypted' | 'plain'; why: string }
  | { security: 'refused'; why: string };

/**
 * DESIGN §5: either end that wants encryption gets it. Symmetric: both ends come to the same result from the same two terms.
 */
export function decideSecurity(mine: SecurityTerms, yours: SecurityTerms): SecurityDecision {
  const common = [...new Set(mine.groups)].filter((group) => yours.groups.includes(group)).sort();
  if (mine.mode === 'always') return { security: 'encrypted', why: 'this node encrypts always' };
  if (yours.mode === 'always') return { security: 'encrypted', why: 'the peer encrypts always' };
  if ((mine.mode === 'groups' || yours.mode === 'groups') && common.length > 0) {
    return { security: 'encrypted', why: `common security group ${common.join(', ')}` };
  }
  for (const [end, who] of [
    [mine, 'this node'],
    [yours, 'the peer'],
  ] as const) {
    if (end.mode === 'groups' && end.without_common_group === 'refuse') {
      return { security: 'refused', why: `no common security group, and ${who} refuses such links` };
    }
  }
  const why =
    mine.mode === 'never' && yours.mode === 'never' ? 'both ends encrypt never' : 'no common security group';
  return { security: 'plain', why };
}

/** Whether two ends' terms say the same; order of groups does not matter. */
export function sameTerms(a: SecurityTerms, b: SecurityTerms): boolean {
  return (
    a.mode === b.mode &&
    a.without_common_group === b.without_common_group &&
    JSON.stringify([...a.groups].sort()) === JSON.stringify([...b.groups].sort())
  );
}
