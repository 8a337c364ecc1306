import type { Socket } from "node:net";
import type { ConnectionCode } from "../monitoring/events.ts";
import type { BrokerLimits } from "../options.ts";

/** An open TCP connection, from accept to close. */
export interface Connection {
  readonly key: string;
  readonly address: string;
  readonly socket: Socket;
  /** Whether the TLS handshake is complete. */
  isSecure: boolean;
  /** Whether a whole valid request came. Until then the connection may be dropped for a newer one. */
  hasAsked: boolean;
  /** Why it was or is being ended, where that is worth telling. */
  endedFor: ConnectionCode | undefined;
}

/** The key under which a socket of either layer is found. */
const connectionKey = (socket: Socket): string => `${socket.remoteAddress ?? "gone"} ${socket.remotePort ?? 0}`;

/**
 * Counts open connections. A newcomer at a limit takes the place of the oldest connection that has not asked for anything
 * yet, so idle and slow sockets cannot keep good clients out; where all have asked, the newcomer is dropped.
 */
export class ConnectionTable {
  readonly #limits: Pick<BrokerLimits, "connections" | "connectionsPerAddress">;
  readonly #byKey = new Map<string, Connection>();
  readonly #byAddress = new Map<string, Set<Connection>>();

  constructor(limits: Pick<BrokerLimits, "connections" | "connectionsPerAddress">) {
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
      isSecure: false,
      hasAsked: false,
      endedFor: undefined,
    };
    const ofAddress = this.#byAddress.get(address) ?? new Set();
    if (ofAddress.size >= this.#limits.connectionsPerAddress) makeRoom(ofAddress, connection, "ADDRESS_LIMIT");
    else if (this.#byKey.size >= this.#limits.connections)
      makeRoom(this.#byKey.values(), connection, "CONNECTION_LIMIT");
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
}

function makeRoom(candidates: Iterable<Connection>, newcomer: Connection, code: ConnectionCode): void {
  let victim = newcomer;
  for (const candidate of candidates) {
    if (candidate.hasAsked || candidate.endedFor !== undefined) continue;
    victim = candidate;
    break;
  }
  end(victim, code);
}

/** Ends a connection at once; the first reason stays. */
export function end(connection: Connection, code: ConnectionCode): void {
  connection.endedFor ??= code;
  connection.socket.destroy();
}
