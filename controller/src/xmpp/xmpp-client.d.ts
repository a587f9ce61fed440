// @xmpp/client ships no types. These are the parts that this folder touches, as they are in version 0.14.0.
declare module '@xmpp/client' {
  import type { EventEmitter } from 'node:events';

  export type Node = Element | string;

  export interface Element {
    name: string;
    parent: Element | null;
    attrs: Record<string, string | undefined>;
    children: Node[];
    is(name: string, xmlns?: string): boolean;
    getName(): string;
    getNS(): string | undefined;
    getChild(name: string, xmlns?: string): Element | undefined;
    getChildren(name: string, xmlns?: string): Element[];
    getChildElements(): Element[];
    getChildText(name: string, xmlns?: string): string | null;
    text(): string;
    toString(): string;
  }

  /** Events: `start` and `end` of the stream, `element` for each of its children, `error`. `write` may throw as well. */
  export interface Parser extends EventEmitter {
    write(text: string): void;
  }

  interface XmlFactory {
    (name: string, attrs?: Record<string, string | undefined>, ...children: Node[]): Element;
    Parser: new () => Parser;
  }
  export const xml: XmlFactory;

  /** A SASL mechanism as the `saslmechanisms` factory makes it; strings are binary (one character per byte). */
  interface Mechanism {
    name: string;
    clientFirst: boolean;
    response(credentials: object): string | Promise<string>;
    challenge(text: string): void | Promise<void>;
  }

  interface Transport {
    prototype: { Parser: new () => Parser; socketParameters(service: string): unknown };
  }

  type Authenticate = (credentials: object, mechanism: string) => Promise<void>;

  export interface Client extends EventEmitter {
    transports: Transport[];
    Transport: Transport;
    Parser: new () => Parser;
    reconnect: { stop(): void };
    saslFactory: { _mechs: unknown[]; use(name: string, mechanism: new () => Mechanism): void };
    open(options: { domain: string }): Promise<unknown>;
    _attachSocket(socket: EventEmitter): void;
    _detachSocket(): void;
    _detachParser(): void;
    _onData(data: string): void;
    _onElement(element: Element): void;
    _streamError(condition: string): Promise<void>;
  }

  export function client(options: {
    service: string;
    domain: string;
    timeout: number;
    credentials: (authenticate: Authenticate, mechanisms: string[]) => Promise<void>;
  }): Client;
}
