import type { Socket } from "node:net";
import type { ConnectionCode } from "../monitoring/events.ts";
import type { BrokerLimits } from "../options.ts";

/** An open TCP connection, from accept to close. */
export interface Connection {
  readonly key: string;
  readonly address: string;
  readonly socket: Socket;
  /** When it was taken in, by the clock that only goes forward. */
  openedAt: number;
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

/** A newcomer for which there is no room yet. */
interface Waiting {
  readonly connection: Connection;
  readonly begin: () => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Counts open connections. A newcomer at a limit takes the place of the oldest connection that has not asked for anything
 * in a while, so idle and slow sockets cannot keep good clients out. Where there is none, because all are at work, the newcomer
 * waits for a place, as many of an address and in all as may be open; one more is dropped.
 */
export class ConnectionTable {
  readonly #limits: TableLimits;
  readonly #byKey = new Map<string, Connection>();
  readonly #byAddress = new Map<string, Set<Connection>>();
  /** First come, first served. */
  readonly #waiting = new Map<string, Waiting>();

  constructor(limits: TableLimits) {
    this.#limits = limits;
  }

  /** Open connections, without those that wait. */
  get size(): number {
    return this.#byKey.size;
  }

  /**
   * Takes a new connection in and calls `begin` when there is room for it: at once, or while its handshake may still wait. The result
   * is already ended where too many wait.
   */
  add(socket: Socket, begin: () => void): Connection {
    const connection: Connection = {
      key: connectionKey(socket),
      address: socket.remoteAddress?.replace(/^::ffff:/, "") ?? "gone",
      socket,
      openedAt: performance.now(),
      isSecure: false,
      hasAsked: false,
      endedFor: undefined,
    };
    const limit = this.#makeRoom(connection);
    if (limit === undefined) this.#open(connection, begin);
    else this.#wait(connection, begin, limit);
    return connection;
  }

  /** The connection that a TLS socket belongs to. */
  find(socket: Socket): Connection | undefined {
    return this.#byKey.get(connectionKey(socket));
  }

  /** Of a connection that is closed. The next one takes its place. */
  remove({ key, address }: Connection): void {
    clearTimeout(this.#waiting.get(key)?.timer);
    this.#waiting.delete(key);
    const connection = this.#byKey.get(key);
    if (connection === undefined) return;
    this.#byKey.delete(key);
    const ofAddress = this.#byAddress.get(address);
    ofAddress?.delete(connection);
    if (ofAddress?.size === 0) this.#byAddress.delete(address);
    this.#letWaitingIn();
  }

  endAll(): void {
    const waiting = [...this.#waiting.values()].map(({ connection }) => connection);
    for (const { socket } of [...waiting, ...this.#byKey.values()]) socket.destroy();
  }

  #open(connection: Connection, begin: () => void): void {
    connection.openedAt = performance.now();
    connection.endedFor = undefined;
    this.#byKey.set(connection.key, connection);
    const ofAddress = this.#byAddress.get(connection.address) ?? new Set();
    this.#byAddress.set(connection.address, ofAddress.add(connection));
    begin();
  }

  #wait(connection: Connection, begin: () => void, limit: ConnectionCode): void {
    const waiting = [...this.#waiting.values()].map((one) => one.connection);
    const ofAddress = waiting.filter(({ address }) => address === connection.address);
    const isFull = waiting.length >= this.#limits.connections || ofAddress.length >= this.#limits.connectionsPerAddress;
    // The reason for its end, should it come to that before there is room.
    connection.endedFor = limit;
    if (isFull) return end(connection, limit);
    // By then whoever is here now without having asked for anything may be displaced.
    const timer = setTimeout(() => this.#letWaitingIn(), this.#limits.displaceAfterMs + 1);
    this.#waiting.set(connection.key, { connection, begin, timer });
  }

  #letWaitingIn(): void {
    const fullAddresses = new Set<string>();
    for (const { connection, begin, timer } of this.#waiting.values()) {
      if (fullAddresses.has(connection.address)) continue;
      const limit = this.#makeRoom(connection);
      if (limit === "CONNECTION_LIMIT") return;
      if (limit === "ADDRESS_LIMIT") {
        fullAddresses.add(connection.address);
        continue;
      }
      clearTimeout(timer);
      this.#waiting.delete(connection.key);
      this.#open(connection, begin);
    }
  }

  /** Room for one more, by displacing another if need be. Returns the limit that forbids it where there is none. */
  #makeRoom({ address }: Connection): "ADDRESS_LIMIT" | "CONNECTION_LIMIT" | undefined {
    const ofAddress = this.#byAddress.get(address);
    const isAddressFull = (ofAddress?.size ?? 0) >= this.#limits.connectionsPerAddress;
    if (!isAddressFull && this.#byKey.size < this.#limits.connections) return undefined;
    const candidates = isAddressFull ? ofAddress : this.#byKey.values();
    const limit = isAddressFull ? "ADDRESS_LIMIT" : "CONNECTION_LIMIT";
    const victim = this.#displaceable(candidates ?? []);
    if (victim === undefined) return limit;
    end(victim, limit);
    return undefined;
  }

  #displaceable(candidates: Iterable<Connection>): Connection | undefined {
    const until = performance.now() - this.#limits.displaceAfterMs;
    for (const candidate of candidates) {
      // They are in the order in which they were taken in.
      if (candidate.openedAt > until) return undefined;
      if (!candidate.hasAsked && candidate.endedFor === undefined) return candidate;
    }
    return undefined;
  }
}

/** Ends a connection at once; the first reason stays. */
export function end(connection: Connection, code: ConnectionCode): void {
  connection.endedFor ??= code;
  connection.socket.destroy();
}
