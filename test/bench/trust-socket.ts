import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { SystemError } from '@kith/base';
import type { TrustQuestion } from '@kith/protocol';
import type { KithNode } from '../lab/index.ts';

/** `kith trust accept` without the tenth of a second that starting a process takes, for who has a thousand to accept. */
export async function acceptNode(node: KithNode, name: string, uid: string): Promise<void> {
  const question: TrustQuestion = { m: 'trust', do: 'accept', name, uid };
  const socket = connect(join(node.runtimeDir, 'controller', 'status.sock'));
  await once(socket, 'connect');
  socket.write(`${JSON.stringify(question)}\n`);
  const answer = await text(socket);
  if (!answer.startsWith('{"schema":1')) throw new SystemError('NOT_ACCEPTED', `${name}: ${answer.trim()}`);
}
