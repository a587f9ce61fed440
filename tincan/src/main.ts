import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogger, describeError, type Logger, readStartDocument, watchParent } from '@kith/base';
import { parseTincanStart, type TincanListening, type TincanStart } from '@kith/config';
import { ensureApiSecret } from './api-secret.ts';
import { ApiServer } from './api-server.ts';
import { loadIdentity } from './identity.ts';
import { NamedApi, namedNotifier } from './named-api.ts';
import { Tincan } from './tincan.ts';
import { UidNames } from './uid-names.ts';
import { VERSION } from './version.ts';

/** Exit codes: the supervisor restarts on either, but the log says which it was. */
const EXIT_FAILED = 1;

async function run(start: TincanStart, log: Logger): Promise<void> {
  await mkdir(start.state_dir, { recursive: true, mode: 0o755 });
  const identity = await loadIdentity(join(start.state_dir, 'identity.pem'));
  const secret = await ensureApiSecret(join(start.runtime_dir, 'api.secret'), start.secret_owner);
  const auth = start.api_auth ?? 'secret';
  const names = new UidNames(identity.uid);

  let ending = false;
  const end = (code: number): void => {
    if (ending) return;
    ending = true;
    const finish = async () => {
      await tincan.close();
      await server.close();
    };
    finish()
      .catch((error: unknown) => log.error({ err: error }, `ending: ${describeError(error)}`))
      .finally(() => process.exit(code));
  };
  const tincan: Tincan = new Tincan({
    identity,
    interface: start.interface,
    mtu: start.mtu,
    portRange: start.port_range,
    direct: start.direct,
    tapSettings: start.tap,
    version: VERSION,
    relayCa: start.relay_ca,
    auth,
    log,
    notifier: namedNotifier(
      {
        reaches: (address) => server.reaches(address),
        notify: (to, message) => server.notify(to, message),
        send: (to, type, payload) => server.send(to, type, payload),
      },
      names,
    ),
    counters: () => server.counters,
    fatal: (error) => {
      log.error({ err: error }, `the TAP device failed: ${describeError(error)}`);
      end(EXIT_FAILED);
    },
  });
  const server = await ApiServer.listen(
    { port: start.api_port, secret, auth, log },
    new NamedApi(tincan, names, (from, to) => tincan.rename(from, to)),
  );
  if (auth === 'none') log.warn('the API is open to every process of this machine (api.auth: none)');
  process.on('SIGTERM', () => end(0));
  process.on('SIGINT', () => end(0));
  watchParent(() => {
    log.warn('the supervisor is gone');
    end(0);
  });
  const { port } = server;
  log.info({ uid: identity.uid, port, version: VERSION }, 'tincan ready');
  const listening: TincanListening = { kind: 'listening', port };
  process.send?.(listening);
}

async function main(): Promise<void> {
  let log = createLogger('tincan', 'info');
  try {
    const start = parseTincanStart(await readStartDocument());
    log = createLogger('tincan', start.log_level);
    await run(start, log);
  } catch (error) {
    log.error({ err: error }, describeError(error));
    process.exitCode = EXIT_FAILED;
    // node-datachannel's threads and a half-opened socket would keep the process alive.
    process.exit();
  }
}

await main();
