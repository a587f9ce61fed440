import { expect, test } from 'vitest';
import { readCpuProfile } from './cpu-profile.ts';
import { flameGraph } from './flame-graph.ts';
import { PerfReader, type PerfSample } from './perf-script.ts';
import { scriptName } from './script-name.ts';
import { StackTree } from './stack-tree.ts';

const PERF = `node 701/714 
	ffffffff81c0 __x64_sys_poll ([kernel.kallsyms])
	7f12e0 __poll (/usr/lib/x86_64-linux-gnu/libc.so.6)
	7f90aa JS:*run file:///k/tap/dist/egress-worker.js:45:12 (/tmp/perf-701.map)

tokio worker (x) 701/701 
	55aa [unknown] (/usr/bin/node)
`;

test('reads what perf script prints', () => {
  const samples: PerfSample[] = [];
  const reader = new PerfReader((sample) => samples.push(sample));
  for (const line of PERF.split('\n')) reader.line(line);
  reader.end();
  expect(samples).toEqual([
    {
      ...{ command: 'node', pid: 701, tid: 714 },
      stack: [
        { name: 'run egress-worker.js:45', kind: 'script' },
        { name: '__poll', kind: 'native' },
        { name: '__x64_sys_poll', kind: 'kernel' },
      ],
    },
    { command: 'tokio worker (x)', pid: 701, tid: 701, stack: [{ name: '[node]', kind: 'native' }] },
  ]);
});

test.each([
  ['JS:*run file:///k/tap/dist/egress-worker.js:45:12', 'run egress-worker.js:45'],
  ['JS:~ node:internal/main/worker_thread.js:1:1', '(anonymous) worker_thread.js:1'],
  ['Builtin:ArgumentsAdaptorTrampoline', 'Builtin:ArgumentsAdaptorTrampoline'],
])('%s is shown as %s', (symbol, shown) => {
  expect(scriptName(symbol)).toBe(shown);
});

test('weighs the stacks of a V8 profile by time', () => {
  const call = (id: number, functionName: string, children: number[]) => ({
    ...{
      id,
      children,
      callFrame: { functionName, url: functionName === '(root)' ? '' : 'file:///a.js', lineNumber: 1 },
    },
  });
  const nodes = [call(1, '(root)', [2]), call(2, 'outer', [3]), call(3, 'inner', [])];
  const profile = { nodes, samples: [2, 3, 3], timeDeltas: [10, 20, 30] };
  const { root } = readCpuProfile('thread', JSON.stringify(profile));
  expect(root.weight).toBe(60);
  const outer = root.children.get('script outer a.js:2');
  expect(outer?.weight).toBe(60);
  expect(outer?.children.get('script inner a.js:2')?.weight).toBe(50);
});

test('draws common callers once, as wide as their share, and escapes names', () => {
  const tree = new StackTree('all');
  const frame = (name: string) => ({ name, kind: 'native' }) as const;
  tree.add([frame('a<b>'), frame('c')], 1);
  tree.add([frame('a<b>')], 3);
  const svg = flameGraph('title & more', tree);
  expect(svg).toContain('title &amp; more');
  expect(svg.match(/a&lt;b&gt; 100\.0 %/g)).toHaveLength(1);
  expect(svg).toContain('c 25.0 %');
  expect(svg).toMatch(/width="300"/);
});
