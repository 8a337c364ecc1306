import type { Socket } from "node:net";
import type { ConnectionCode } from "../monitoring/events.ts";
import type { BrokerLimits } from "../options.ts";

/** An open TCP connection, from accept to close. */
export interface Connection {
  readonly key: string;
  readonly address: string;
  readonly socket: Socket;
  /** By the clock that only goes forward. */
  readonly openedAt: number;
  /** Whether the TLS handshake is complete. */
  isSecure: boolean;
  /** Whether a whole valid request came. Until then the connection may be dropped for a newer one. */
  hasAsked: boolean;
  /** Why it was or is being ended, where that is worth telling. */
  endedFor: ConnectionCode | undefined;
}

type TableLimits = Pick<BrokerLimits, "connections" | "connectionsPerAddress" | "displaceAfterMs">;

/** The key under which a socket of either layer is found. */
const connectionKey = (socket: Socket): string => `${socket.remoteAddress ?? "gone"} ${socket.remotePort ?? 0}`;

/**
 * Counts open connections. A newcomer at a limit takes the place of the oldest connection that has not asked for anything
 * in a while, so idle and slow sockets cannot keep good clients out; where there is none, the newcomer is dropped.
 */
export class ConnectionTable {
  readonly #limits: TableLimits;
  readonly #byKey = new Map<string, Connection>();
  readonly #byAddress = new Map<string, Set<Connection>>();

  constructor(limits: TableLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** Takes a new connection in. The result is already ended where there was no room. */
  add(socket: Socket): Connection {
    const address = socket.remoteAddress?.replace(/^::ffff:/, "") ?? "gone";
    const connection: Connection = {
      key: connectionKey(socket),
      address,
      socket,
      openedAt: performance.now(),
      isSecure: false,
      hasAsked: false,
      endedFor: undefined,
    };
    const ofAddress = this.#byAddress.get(address) ?? new Set();
    if (ofAddress.size >= this.#limits.connectionsPerAddress) this.#makeRoom(ofAddress, connection, "ADDRESS_LIMIT");
    else if (this.#byKey.size >= this.#limits.connections)
      this.#makeRoom(this.#byKey.values(), connection, "CONNECTION_LIMIT");
    this.#byKey.set(connection.key, connection);
    this.#byAddress.set(address, ofAddress.add(connection));
    return connection;
  }

  /** The connection that a TLS socket belongs to. */
  find(socket: Socket): Connection | undefined {
    return this.#byKey.get(connectionKey(socket));
  }

  remove(connection: Connection): void {
    this.#byKey.delete(connection.key);
    const ofAddress = this.#byAddress.get(connection.address);
    ofAddress?.delete(connection);
    if (ofAddress?.size === 0) this.#byAddress.delete(connection.address);
  }

  endAll(): void {
    for (const { socket } of this.#byKey.values()) socket.destroy();
  }

  #makeRoom(candidates: Iterable<Connection>, newcomer: Connection, code: ConnectionCode): void {
    const until = newcomer.openedAt - this.#limits.displaceAfterMs;
    let victim = newcomer;
    for (const candidate of candidates) {
      // They are in the order in which they were opened.
      if (candidate.openedAt > until) break;
      if (candidate.hasAsked || candidate.endedFor !== undefined) continue;
      victim = candidate;
      break;
    }
    end(victim, code);
  }
}

/** Ends a connection at once; the first reason stays. */
export function end(connection: Connection, code: ConnectionCode): void {
  connection.endedFor ??= code;
  connection.socket.destroy();
}
