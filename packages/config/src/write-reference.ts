import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { configDocument, withReference } from './reference.ts';

// A script: writes the generated documentation into the repository that this file was built in.
const root = new URL('../../../', import.meta.url);
writeFileSync(new URL('docs/CONFIG.md', root), configDocument());
const readme = new URL('README.md', root);
if (existsSync(readme)) {
  const before = readFileSync(readme, 'utf8');
  const after = withReference(before);
  if (after !== before) writeFileSync(readme, after);
}
