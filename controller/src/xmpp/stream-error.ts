import { PeerError } from '@kith/base';
import type { Element } from '@xmpp/client';
import { type Loss, lost, refused } from './loss.ts';
import type { LossKind } from './reconnect-policy.ts';

/** Name of the first child that is not a text: the condition of a stream error, SASL failure or `<failed/>`. */
export function conditionOf(element: Element): string {
  const condition = element.getChildElements().find((child) => child.getName() !== 'text');
  return condition?.getName().slice(0, 64) ?? 'undefined-condition';
}

function textOf(element: Element): string {
  const text = element.getChildText('text')?.slice(0, 200) ?? '';
  return text === '' ? '' : ` (${text})`;
}

/** Stream errors (RFC 6120 §4.9.3) that are not an ordinary loss. */
const STREAM_KINDS: Record<string, LossKind> = {
  // Another session took the resource, or an operator kicked us: ejabberd says the same for both.
  conflict: 'conflict',
  'host-unknown': 'untrusted',
  'not-authorized': 'refused',
};

/** A stream error ends the stream for good (RFC 6120 §4.9.1.1). We never follow see-other-host: the user named the hub. */
export function streamLoss(element: Element): Loss {
  const condition = conditionOf(element);
  const error = new PeerError(
    'XMPP_STREAM_ERROR',
    `the hub ended the stream: ${condition}${textOf(element)}`,
  );
  const kind = (Object.hasOwn(STREAM_KINDS, condition) ? STREAM_KINDS[condition] : undefined) ?? 'lost';
  return { kind, error, resumable: kind === 'lost' };
}

/** A SASL failure (RFC 6120 §6.5). Only one of them passes by itself. */
export function saslLoss(condition: string): Loss {
  if (condition === 'temporary-auth-failure') {
    return lost(new PeerError('XMPP_AUTH_TEMPORARY', 'the hub cannot check passwords at the moment'));
  }
  const text =
    condition === 'not-authorized'
      ? 'the hub does not accept this account and password'
      : `the hub does not let us sign in: ${condition}`;
  return refused(new PeerError('XMPP_REFUSED', text, { field: 'xmpp.password' }));
}
