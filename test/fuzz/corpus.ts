import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What the corpora are kept for: each a parser or a state that faces the network. */
export type Target = 'api-call' | 'api-datagram' | 'control' | 'ethernet-frame' | 'frames-message' | 'signal';

/** One saved input. */
export interface Sample {
  /** What it is, from the name of its file. */
  name: string;
  data: Buffer;
  /** Whether it must be taken; otherwise it must meet a clear refusal or a counted drop. */
  good: boolean;
}

/** All saved inputs of a target, in the order of their names. */
export function corpus(target: Target): Sample[] {
  return (['good', 'bad'] as const).flatMap((verdict) => {
    const directory = fileURLToPath(new URL(`./corpus/${target}/${verdict}/`, import.meta.url));
    return readdirSync(directory)
      .toSorted()
      .map((file) => ({
        name: `${verdict}: ${file.replace(/\.\w+$/, '').replaceAll('-', ' ')}`,
        data: readFileSync(`${directory}${file}`),
        good: verdict === 'good',
      }));
  });
}
