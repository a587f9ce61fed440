import type { TrustAnswer, TrustNode, TrustQuestion } from '@kith/protocol';
import { formatTable, printable } from './table.ts';

const HEADER = ['NAME', 'TRUST', 'NODE', 'SINCE'] as const;
/** Letters of `2026-11-21T07:00` in an ISO 8601 time: to the minute is all that a person wants. */
const MINUTE_CHARS = 16;

/** What `kith trust` prints for people. */
export function formatTrust(
  question: TrustQuestion,
  answer: TrustAnswer,
  show: { fingerprint: boolean },
): string {
  return `${linesOf(question, answer, show.fingerprint).map(printable).join('\n')}\n`;
}

function linesOf(question: TrustQuestion, answer: TrustAnswer, fingerprint: boolean): string[] {
  switch (question.do) {
    case 'list':
      return list(answer);
    case 'accept':
      return answer.nodes.map(({ name, uid }) => `${name}: node ${uid} is accepted`);
    case 'forget':
      return answer.nodes.map(
        ({ name, uid, trust }) => `${name}: node ${uid} is forgotten (it was ${trust})`,
      );
    case 'verify':
      if (question.confirm) return answer.nodes.map(({ name, uid }) => `${name}: node ${uid} is verified`);
      return fingerprint ? fingerprints(answer) : codes(answer);
  }
}

function list({ mode, self, nodes }: TrustAnswer): string[] {
  const head = `trust ${mode}, this is ${self.name}, node ${self.uid ?? 'not known yet'}`;
  if (nodes.length === 0) return [head, '', 'no node of anybody was seen yet'];
  const rows = nodes.map(({ name, uid, trust, since }) => [
    printable(name),
    trust,
    uid,
    since === null ? '-' : `${since.slice(0, MINUTE_CHARS).replace('T', ' ')} UTC`,
  ]);
  return [head, '', ...formatTable(HEADER, rows)];
}

function codes({ self, nodes }: TrustAnswer): string[] {
  const blocks = nodes.flatMap((node) => [...title(node), `  ${node.code ?? ''}`, '']);
  return [
    ...blocks,
    `The other end shows the same digits: kith trust verify ${self.name}`,
    'Compare them by voice, or face to face, not through the hub. If they are the same: the command again, with --confirm.',
    'If not, somebody stands between you.',
  ];
}

function fingerprints({ self, nodes }: TrustAnswer): string[] {
  const blocks = nodes.flatMap((node) => [
    ...title(node),
    `  ${node.fingerprint ?? 'not known in full before a first signal; its first 160 bits are the UID'}`,
    '',
  ]);
  return [...blocks, `${self.name}, this node ${self.uid ?? ''}`, `  ${self.fingerprint ?? 'not known yet'}`];
}

function title({ name, uid, trust }: TrustNode): string[] {
  return [`${name}, node ${uid} (${trust})`];
}
