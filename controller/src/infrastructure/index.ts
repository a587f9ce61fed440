export { rangeOf } from './network-range.ts';
export { OutsideNames } from './outside-names.ts';
export { outsideServers } from './outside-servers.ts';
export { machineResolver } from './resolver-system.ts';
