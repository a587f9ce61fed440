export { readHomeNetwork } from './home-network.ts';
export type { Mapping } from './mapping.ts';
export { type OuterAddress, PortMapper, type PortMapperOptions } from './port-mapper.ts';
export { searchMapping } from './search.ts';
