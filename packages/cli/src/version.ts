import { readFileSync } from 'node:fs';
import { z } from 'zod';

const manifest = z.object({ version: z.string() });

export interface VersionReport {
  schema: 1;
  version: string;
  node: string;
  platform: string;
}

/** What `kith version` tells. */
export function versionReport(): VersionReport {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const { version } = manifest.parse(JSON.parse(text));
  return { schema: 1, version, node: process.version, platform: `${process.platform} ${process.arch}` };
}
