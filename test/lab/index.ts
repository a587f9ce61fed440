export { type CommandOptions, type CommandResult, ended, execute, run } from './command.ts';
export { Ejabberd, type EjabberdOptions } from './ejabberd.ts';
export { HUB_PORTS, type Shaper, type StunService } from './ejabberd-config.ts';
export { HOST_INTERFACE, Host, type HostAddress } from './host.ts';
export { parseTcpRun, type TcpFigures } from './iperf3.ts';
export { KITH, KithNode, type KithNodeOptions, OVERLAY_INTERFACE } from './kith-node.ts';
export { Lab, type LabOptions } from './lab.ts';
export { firstReply, measureTcp, ping } from './measure.ts';
export { introduce } from './neighbours.ts';
export {
  ALICE,
  BOB,
  carrierOf,
  GROUP,
  isLinked,
  makePair,
  type Pair,
  startPair,
  untilLinked,
} from './pair.ts';
export { type PingFigures, parsePing } from './ping.ts';
export { Reaper } from './reaper.ts';
export { runInLab, type Say } from './run-in-lab.ts';
export { askStatus } from './status-socket.ts';
export { Wire, type WireOptions } from './wire.ts';
export type { Impairment } from './wire-fate.ts';
export type { WireCounters } from './wire-start.ts';
