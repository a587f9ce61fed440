import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describeError, type Logger, monotonicMs } from '@kith/base';
import type { KithConfig } from '@kith/config';
import { type LocalState, PCP_NONCE_BYTES, type PortMappingStatus } from '@kith/protocol';
import {
  type Mapping,
  type OuterAddress,
  PortMapper,
  type PortMapperOptions,
  readHomeNetwork,
  searchMapping,
} from './port-mapping/index.ts';
import type { TincanClient } from './tincan-client.ts';

/** A UID that nobody has: what is asked is about tincan itself. */
const NOBODY = '0'.repeat(40);

export interface DirectPortParts {
  config: Pick<KithConfig, 'name'> & { direct: Pick<KithConfig['direct'], 'enabled' | 'port_mapping'> };
  secretFile: string;
  tincan: Pick<TincanClient, 'call'> & {
    getState(uid: string, stats: boolean): Promise<{ local: Pick<LocalState, 'direct_port'> }>;
  };
  log: Logger;
}

/** The router as it is found and asked. */
export interface RouterDoor {
  readNetwork: PortMapperOptions['readNetwork'];
  search(
    request: Parameters<PortMapperOptions['search']>[0],
    nonce: Uint8Array,
    description: string,
  ): Promise<Mapping>;
}

const MACHINE: RouterDoor = { readNetwork: readHomeNetwork, search: searchMapping };

/**
 * Lets the router map the port of tincan's direct socket, and tells tincan where that leads. It is the controller that asks, because
 * what routers say is parsed, and parsing has no place in a process with root's rights.
 */
export class DirectPort {
  readonly #parts: DirectPortParts;
  readonly #mapper: PortMapper;
  /** Why no router is asked, or null. */
  readonly #off: string | null;

  constructor(parts: DirectPortParts, router: RouterDoor = MACHINE) {
    this.#parts = parts;
    const { direct, name } = parts.config;
    const whyOff = direct.port_mapping === 'off' ? 'direct.port_mapping is "off"' : null;
    this.#off = direct.enabled ? whyOff : 'direct.enabled is false';
    this.#mapper = new PortMapper({
      log: parts.log,
      clock: monotonicMs,
      random: Math.random,
      readNetwork: () => router.readNetwork(),
      search: async (request) => router.search(request, await this.#nonce(), `kith ${name}`),
      changed: (address) => void this.#tell(address),
    });
  }

  get status(): PortMappingStatus {
    if (this.#off !== null) return { state: 'off', address: null, by: null, detail: this.#off };
    return this.#mapper.status;
  }

  /** tincan is set up, perhaps a new one that knows nothing. */
  async tincanReady(): Promise<void> {
    if (this.#off !== null) return;
    try {
      const { local } = await this.#parts.tincan.getState(NOBODY, false);
      this.#mapper.setPort(local.direct_port ?? null);
    } catch (error) {
      // It is gone again; its successor is set up as well.
      this.#parts.log.debug(`no port to map: ${describeError(error)}`);
    }
  }

  stop(): Promise<void> {
    return this.#mapper.stop();
  }

  async #tell(address: OuterAddress | null): Promise<void> {
    const mapped = address === null ? null : { ip4: address.ip, port: address.port };
    try {
      await this.#parts.tincan.call('set_mapped_address', { mapped });
    } catch (error) {
      this.#parts.log.debug(`tincan does not hear of the port mapping: ${describeError(error)}`);
    }
  }

  /**
   * RFC 6887 §11.2: a router lets only the nonce of a mapping change it, so that a controller which was restarted must have the same
   * again. Nobody else can know it, since it comes from the API's secret.
   */
  async #nonce(): Promise<Uint8Array> {
    const secret = await readFile(this.#parts.secretFile);
    return createHash('sha256').update('PCP nonce\0').update(secret).digest().subarray(0, PCP_NONCE_BYTES);
  }
}
