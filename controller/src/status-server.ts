import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { ConfigError, describeError, KithError, type Logger, SystemError, Timers } from '@kith/base';
import {
  type StatusReport,
  statusQuestion,
  type TrustAnswer,
  type TrustQuestion,
  trustQuestion,
} from '@kith/protocol';

/** A question is one short line; whoever sends more is cut off. */
const MAX_QUESTION_CHARS = 4_096;

/** Whoever has not asked by then is cut off. */
const ASK_WITHIN_MS = 5_000;

/** People and scripts that look at the same time. */
const MAX_CLIENTS = 32;

/** Who answers. */
export interface Answerer {
  /** @param eventsOf whose links' last events are told too */
  status(eventsOf?: string): Promise<StatusReport>;
  readonly trustCommands: { run(question: TrustQuestion): Promise<TrustAnswer> };
}

/** Answers `{"m":"status"}` and `{"m":"trust",…}` on a unix stream socket, one line of JSON per question, then closes. */
export class StatusServer {
  readonly #server: Server;
  readonly #timers = new Timers();
  #nextClient = 1;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws SystemError STATUS_SOCKET. */
  static async listen(path: string, answerer: Answerer, log: Logger): Promise<StatusServer> {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await rm(path, { force: true });
    } catch (cause) {
      throw new SystemError('STATUS_SOCKET', `cannot prepare ${path}`, { cause });
    }
    const server = createServer();
    const self = new StatusServer(server);
    server.maxConnections = MAX_CLIENTS;
    server.on('connection', (socket) => self.#serve(socket, answerer, log));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) =>
        reject(new SystemError('STATUS_SOCKET', `cannot listen on ${path}`, { cause })),
      );
      server.listen(path, resolve);
    });
    // The directory keeps others out already; this says it again where the umask does not.
    await chmod(path, 0o600);
    return self;
  }

  close(): void {
    this.#timers.clearAll();
    this.#server.close();
  }

  #serve(socket: Socket, answerer: Answerer, log: Logger): void {
    const timer = `client ${this.#nextClient++}`;
    let question = '';
    this.#timers.after(timer, ASK_WITHIN_MS, () => socket.destroy());
    socket.setEncoding('utf8');
    socket.on('error', (error) => log.debug(`status client: ${error.message}`));
    socket.on('close', () => this.#timers.clear(timer));
    socket.on('data', (text) => {
      question += text;
      const end = question.indexOf('\n');
      if (question.length > MAX_QUESTION_CHARS) socket.destroy();
      else if (end >= 0) {
        socket.removeAllListeners('data');
        void answer(question.slice(0, end), answerer).then((line) => socket.end(`${line}\n`));
      }
    });
  }
}

async function answer(question: string, answerer: Answerer): Promise<string> {
  try {
    return JSON.stringify(await answerTo(JSON.parse(question), answerer));
  } catch (error) {
    const code = error instanceof KithError ? error.code : 'STATUS_QUESTION';
    const field = error instanceof KithError ? error.field : undefined;
    return JSON.stringify({ error: describeError(error), code, ...(field === undefined ? {} : { field }) });
  }
}

async function answerTo(asked: unknown, answerer: Answerer): Promise<StatusReport | TrustAnswer> {
  const about = typeof asked === 'object' && asked !== null && 'm' in asked ? asked.m : undefined;
  if (about === 'status') {
    return answerer.status(statusQuestion.parse(asked).events);
  }
  if (about !== 'trust') {
    throw new ConfigError('STATUS_QUESTION', 'm: must be "status" or "trust"', { field: 'm' });
  }
  const parsed = trustQuestion.safeParse(asked);
  if (parsed.success) return answerer.trustCommands.run(parsed.data);
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  throw new ConfigError('STATUS_QUESTION', `${field}: ${issue?.message ?? 'is invalid'}`, { field });
}
