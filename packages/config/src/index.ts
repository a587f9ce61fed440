export { formatHostPort, type HostPort, type Ip4, isHost, parseHostPort } from './address.ts';
export { convertFlat } from './flat.ts';
export { type LoadedConfig, loadConfig } from './load.ts';
export { locateNetwork, type NetworkPlace } from './place.ts';
export { ConfigProblems, type Problem } from './problem.ts';
export { configReference, jsonSchema } from './reference.ts';
export { type NativeConfig, nativeConfig } from './schema.ts';
export {
  type ControllerStart,
  controllerStart,
  controllerStartSchema,
  type GatewayStart,
  type KithConfig,
  kithConfig,
  type Owner,
  parseControllerStart,
  parseGatewayStart,
  parseTincanStart,
  type TincanListening,
  type TincanStart,
  tincanListening,
  tincanStart,
  tincanStartSchema,
} from './start.ts';
export { findUser, type User } from './user.ts';
