/** The fastest of several rounds, in ns per call: what the machine can do when nobody interrupts it. */
export function nsPerCall(call, calls, rounds = 9) {
  for (let index = 0; index < calls; index++) call(index);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const start = process.hrtime.bigint();
    for (let index = 0; index < calls; index++) call(index);
    best = Math.min(best, Number(process.hrtime.bigint() - start) / calls);
  }
  return best;
}

export function show(what, ns, bytes = 0) {
  const rate = bytes === 0 ? '' : `${((bytes * 8) / ns).toFixed(2).padStart(8)} Gbit/s`;
  console.log(`${ns.toFixed(0).padStart(8)} ns ${rate.padEnd(16)} ${what}`);
}
