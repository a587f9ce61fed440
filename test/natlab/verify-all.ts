// Builds one network of each kind and prints what a probe finds that its kind does not claim:  node test/dist/natlab/verify-all.js
import { Lab } from '../lab/index.ts';
import { KINDS } from './kinds.mjs';
import { World } from './world.ts';

const lab = await Lab.create({ name: 'natverify' });
try {
  const world = await World.create(lab);
  for (const kind of KINDS) {
    const [site] = await world.sites(kind, kind);
    const problems = await world.verify(site);
    if (problems.length > 0) process.exitCode = 1;
    process.stdout.write(`${kind.id}: ${problems.length === 0 ? 'as claimed' : problems.join('; ')}\n`);
  }
} finally {
  await lab.destroy();
}
