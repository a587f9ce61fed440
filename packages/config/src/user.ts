import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface User {
  name: string;
  uid: number;
  gid: number;
}

/** Finds a user by name or uid in all sources that the machine is set up for (NSS); undefined when there is none. */
export function findUser(nameOrUid: string | number): User | undefined {
  return passwdLine(String(nameOrUid));
}

function passwdLine(wanted: string): User | undefined {
  try {
    return parseLine(
      execFileSync('getent', ['passwd', wanted], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  } catch (error) {
    // getent ends with 2 when there is no such user; without getent (musl images) there is only the file.
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!missing) return undefined;
  }
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const user = parseLine(line);
    if (user !== undefined && (user.name === wanted || String(user.uid) === wanted)) return user;
  }
  return undefined;
}

/** passwd(5): name:password:UID:GID:GECOS:directory:shell */
function parseLine(line: string): User | undefined {
  const [name, , uid, gid] = line.split(':');
  if (name === undefined || name === '' || !/^\d+$/.test(uid ?? '') || !/^\d+$/.test(gid ?? ''))
    return undefined;
  return { name, uid: Number(uid), gid: Number(gid) };
}
