import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './command.ts';

export interface ServerCertificate {
  /** DNS names and IP addresses that the certificate is good for. */
  dns: readonly string[];
  ip: readonly string[];
}

/**
 * Makes a private CA (`ca.pem`) and a certificate that it signed (`server.pem`: certificate, CA and key in one file, as
 * ejabberd wants it) in `directory`. The CA's own key is thrown away: nothing else shall ever be signed with it.
 */
export async function makeServerCertificate(directory: string, names: ServerCertificate): Promise<void> {
  const at = (file: string): string => join(directory, file);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  // A lab lives for minutes; a kept demo for days.
  const days = ['-days', '30'];
  const extension = (...values: string[]): string[] => values.flatMap((value) => ['-addext', value]);
  await run('openssl', [
    ...[
      'req',
      '-x509',
      ...key,
      ...days,
      '-keyout',
      at('ca.key'),
      '-out',
      at('ca.pem'),
      '-subj',
      '/CN=Kith lab CA',
    ],
    ...extension('basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'),
  ]);
  const alternatives = [
    ...names.dns.map((name) => `DNS:${name}`),
    ...names.ip.map((address) => `IP:${address}`),
  ];
  await run('openssl', [
    ...['req', '-x509', ...key, ...days, '-keyout', at('server.key'), '-out', at('server.crt')],
    ...['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-subj', '/CN=Kith lab hub'],
    ...extension(
      `subjectAltName=${alternatives.join(',')}`,
      'basicConstraints=critical,CA:FALSE',
      'keyUsage=critical,digitalSignature',
      'extendedKeyUsage=serverAuth',
    ),
  ]);
  const parts = await Promise.all(
    ['server.crt', 'ca.pem', 'server.key'].map((file) => readFile(at(file), 'utf8')),
  );
  await writeFile(at('server.pem'), parts.join(''), { mode: 0o600 });
  await Promise.all(['ca.key', 'server.key', 'server.crt'].map((file) => rm(at(file))));
  await chmod(at('ca.pem'), 0o644);
}
