import { type HeapProfiler, Session } from 'node:inspector';

/** For tests: bytes that functions of this project, tests aside, allocate on V8's heap while `run` runs, by function. */
export function allocatedBy(run: () => void): Record<string, number> {
  const session = new Session();
  session.connect();
  session.post('HeapProfiler.startSampling', {
    samplingInterval: 64,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  });
  run();
  const allocated: Record<string, number> = {};
  let failure: Error | null = null;
  session.post('HeapProfiler.stopSampling', (error, result) => {
    failure = error;
    if (error === null) addUp(result.profile.head, allocated);
  });
  session.disconnect();
  if (failure !== null) throw failure;
  return allocated;
}

function addUp(node: HeapProfiler.SamplingHeapProfileNode, sums: Record<string, number>): void {
  const { functionName, url } = node.callFrame;
  if (/\/(tap\/src|ring\/dist|posix\/dist)\//.test(url) && !/\/test-|\.test\./.test(url)) {
    sums[functionName] = (sums[functionName] ?? 0) + node.selfSize;
  }
  for (const child of node.children) addUp(child, sums);
}
