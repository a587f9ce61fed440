import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CommandFailure, EXIT } from './exit-codes.ts';

const CONFIG_VARIABLE = 'KITH_CONFIG';
const CONFIG_DIRECTORY = '/etc/kith';

/** The config file that a command is about: the one given, that of KITH_CONFIG, or the only one of /etc/kith. */
export function configPath(
  given: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
  directory: string = CONFIG_DIRECTORY,
): string {
  if (given !== undefined) return given;
  const named = env[CONFIG_VARIABLE] ?? '';
  if (named !== '') return named;
  const found = jsonFiles(directory);
  if (found.length === 1 && found[0] !== undefined) return found[0];
  const which =
    found.length === 0
      ? `there is none in ${directory}`
      : `${directory} holds ${found.length}: ${found.join(', ')}`;
  throw new CommandFailure(EXIT.usage, `which config? ${which}; name it with -c FILE or ${CONFIG_VARIABLE}`);
}

function jsonFiles(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
      .sort()
      .map((name) => join(directory, name));
  } catch {
    return [];
  }
}
