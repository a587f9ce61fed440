import { BugError } from '@kith/base';
import { scriptName } from './script-name.ts';
import { type Frame, StackTree } from './stack-tree.ts';

/** The part of V8's profile (Chrome DevTools protocol, Profiler.Profile) that a flame graph needs. */
interface CpuProfile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
    children?: number[];
  }[];
  samples: number[];
  /** Microseconds since the sample before. */
  timeDeltas: number[];
}

/** Reads a .cpuprofile into stacks weighted by microseconds. */
export function readCpuProfile(name: string, text: string): StackTree {
  const profile: unknown = JSON.parse(text);
  if (!isCpuProfile(profile)) throw new BugError('CPU_PROFILE', `${name}: not a CPU profile of V8`);
  const parents = new Map(
    profile.nodes.flatMap(({ id, children }) => (children ?? []).map((child) => [child, id])),
  );
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, toFrame(callFrame)]));
  const tree = new StackTree(name);
  for (const [index, sample] of profile.samples.entries()) {
    const stack: Frame[] = [];
    // The root is V8's own and says nothing.
    for (let id: number | undefined = sample; id !== undefined && parents.has(id); id = parents.get(id)) {
      const frame = frames.get(id);
      if (frame !== undefined) stack.unshift(frame);
    }
    tree.add(stack, Math.max(0, profile.timeDeltas[index] ?? 0));
  }
  return tree;
}

function toFrame({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): Frame {
  if (url === '') return { name: functionName === '' ? '(anonymous)' : functionName, kind: 'native' };
  return { name: scriptName(`${functionName} ${url}:${lineNumber + 1}`), kind: 'script' };
}

function isCpuProfile(value: unknown): value is CpuProfile {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['nodes', 'samples', 'timeDeltas'].every((key) =>
      Array.isArray(Object.entries(value).find(([name]) => name === key)?.[1]),
    )
  );
}
