import { BugError } from '@kith/base';
import { type Element, xml } from '@xmpp/client';
import { NS } from './namespaces.ts';

/**
 * Longest `data` of a signal, in characters. ejabberd's usual limit for a whole stanza is 262 144 bytes, Prosody's the same, and a
 * con_req with every candidate takes some kilobytes.
 */
export const SIGNAL_DATA_MAX = 65_536;
/** Names such as `con_req`; the bound only has to be one. */
const SIGNAL_TYPE_MAX = 64;

/**
 * ASCII without the control characters that XML 1.0 forbids, and without the carriage return, which its parsers turn into a line
 * feed: what no chunking, charset or escaping on the way can change.
 */
const DATA = /^[\t\n\x20-\x7e]*$/;
const TYPE = /^[\x21-\x7e]+$/;

export interface SignalBody {
  type: string;
  data: string;
}

function fits(body: SignalBody): boolean {
  return (
    body.type.length <= SIGNAL_TYPE_MAX &&
    body.data.length <= SIGNAL_DATA_MAX &&
    TYPE.test(body.type) &&
    DATA.test(body.data)
  );
}

/**
 * `<iq type='set'>` that carries a signal; the children are IPOP's.
 * @throws BugError XMPP_SIGNAL_FORM if type or data is too long or not ASCII
 */
export function signalStanza(id: string, to: string, body: SignalBody): Element {
  if (!fits(body))
    throw new BugError('XMPP_SIGNAL_FORM', 'a signal must be ASCII and short', { field: body.type });
  return xml(
    'iq',
    { type: 'set', id, to },
    xml('query', { xmlns: NS.tincan }, xml('data', {}, body.data), xml('type', {}, body.type)),
  );
}

/** What stands in the `<query xmlns='jabber:iq:tincan'>` of a signal; null if it has not the form of one. */
export function parseSignal(query: Element): SignalBody | null {
  const types = query.getChildren('type', NS.tincan);
  const datas = query.getChildren('data', NS.tincan);
  const [type] = types;
  const [data] = datas;
  if (type === undefined || data === undefined || types.length > 1 || datas.length > 1) return null;
  if (type.getChildElements().length > 0 || data.getChildElements().length > 0) return null;
  const body = { type: type.text().trim(), data: data.text() };
  return fits(body) ? body : null;
}
