import type { Ejabberd, Host, Lab } from '../lab/index.ts';
import type { SystemName } from './options.mjs';

/** What a system finds when its turn comes: two hosts on one switch, with nothing of any system on them. */
export interface Stage {
  readonly lab: Lab;
  readonly client: Host;
  readonly server: Host;
  /** The hub that all turns share; started when first asked for, with an account and a group membership for both hosts. */
  hub(): Promise<Ejabberd>;
  /** When Kith is profiled: NODE_OPTIONS for its processes; the pid of each `kith up` is added to `commands`. */
  readonly profiled?: { readonly nodeOptions: string; readonly commands: number[] };
}

/** A system that is up: the client reaches the server through it. */
export interface Session {
  readonly serverAddress: string;
  /** Ends all processes of the system and removes its devices. */
  stop(): Promise<void>;
}

/** Something that carries packets between two hosts. */
export interface System {
  readonly name: SystemName;
  /** Debian package and a program of it, where the system needs one. */
  readonly debian?: { readonly name: string; readonly program: string };
  start(stage: Stage): Promise<Session>;
}

/** Overlay addresses of the two hosts; RFC 1918 space that the lab itself does not use. */
export const CLIENT_ADDRESS = '10.77.0.1';
export const SERVER_ADDRESS = '10.77.0.2';
export const PREFIX = 24;
export const NETMASK = '255.255.255.0';
