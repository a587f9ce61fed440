export { readHomeNetwork } from './home-network.ts';
export { type OuterAddress, PortMapper } from './port-mapper.ts';
export { searchMapping } from './search.ts';
