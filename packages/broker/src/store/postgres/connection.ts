import type { Secret } from "@cloister/encoding";
import { fromUtf8 } from "@cloister/encoding";
import { Client, type ClientConfig } from "pg";
import { BrokerError } from "../../broker-error.ts";
import type { Row, StoreClient, StoreConnection, StoreValue } from "../client.ts";
import { unavailable } from "../unavailable.ts";
import { PostgresClient } from "./client.ts";

const CONNECT_TIMEOUT_MS = 3000;
const RETRY_PAUSE_MS = 250;
/** The server ends a statement, a wait for a lock and a transaction that its broker has left standing. */
const STATEMENT_TIMEOUT_MS = 10_000;
const LOCK_TIMEOUT_MS = 5000;
const IDLE_TRANSACTION_TIMEOUT_MS = 3000;
/** For a server that no longer answers at all; longer than the server's own limit. */
const QUERY_TIMEOUT_MS = 12_000;

export interface PostgresSettings {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port?: number;
  readonly database: string;
  readonly user: string;
  readonly password?: Secret;
  /** PEM of the CA of the server's certificate. Needed for every host that is neither a socket nor this machine. */
  readonly ca?: string;
}

export type { Client } from "pg";

/** Opens one connection. Throws STORE_OPTIONS_INVALID or STORE_UNAVAILABLE. */
export async function connectPostgres(settings: PostgresSettings): Promise<Client> {
  const client = new Client(clientConfig(settings));
  // A connection that ends while nothing waits on it; the next query on it fails.
  client.on("error", () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    discard(client);
    throw unavailable(error);
  }
}

/** Ends a connection whose state is not known. The server rolls back what was open on it. */
export function discard(client: Client): void {
  client.end().catch(() => undefined);
}

/**
 * A connection that is opened when it is needed and given up at the first error, so that the next use begins with a fresh
 * one. Uses take turns.
 */
export class PostgresConnection implements StoreConnection {
  readonly #settings: PostgresSettings;
  #client: Client | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  #failure: { readonly error: unknown; readonly at: number } | undefined;

  constructor(settings: PostgresSettings) {
    this.#settings = settings;
  }

  /** Runs `work` alone on the connection. What it throws is thrown on, and the connection is given up. */
  use<T>(work: (client: StoreClient) => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => this.#run(work));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  query(text: string, values: readonly StoreValue[] = []): Promise<Row[]> {
    return this.use(async (client) => {
      try {
        return await client.query(text, values);
      } catch (error) {
        throw unavailable(error);
      }
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turn;
    await this.#client?.end();
    this.#client = undefined;
  }

  async #run<T>(work: (client: StoreClient) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw unavailable(new Error("the store was closed"));
    const client = this.#client ?? (await this.#open());
    try {
      return await work(new PostgresClient(client));
    } catch (error) {
      discard(client);
      this.#forget(client);
      throw error;
    }
  }

  async #open(): Promise<Client> {
    // Those who waited their turn behind an attempt that timed out do not each try for as long again.
    if (this.#failure !== undefined && performance.now() - this.#failure.at < RETRY_PAUSE_MS) throw this.#failure.error;
    const client = await connectPostgres(this.#settings).catch((error: unknown) => {
      this.#failure = { error, at: performance.now() };
      throw error;
    });
    this.#failure = undefined;
    const forget = (): void => this.#forget(client);
    // One that breaks while it is idle costs no request.
    client.on("error", forget).on("end", forget);
    this.#client = client;
    return client;
  }

  #forget(client: Client): void {
    if (this.#client === client) this.#client = undefined;
  }
}

function clientConfig({ host, port = 5432, database, user, password, ca }: PostgresSettings): ClientConfig {
  const isLocal = host.startsWith("/") || host === "localhost" || host === "127.0.0.1" || host === "::1";
  if (!isLocal && ca === undefined) {
    throw new BrokerError("STORE_OPTIONS_INVALID", {
      what: "the store was not opened",
      why: "the database is on another machine, and no CA is given for its certificate",
      remedy: "give the CA of the database server",
    });
  }
  return {
    host,
    port,
    database,
    user,
    ...(password !== undefined && { password: () => fromUtf8(password.reveal()) ?? "" }),
    ...(ca !== undefined && { ssl: { ca, rejectUnauthorized: true, minVersion: "TLSv1.2" } }),
    application_name: "cloister-broker",
    // A commit that is answered before it is on the disk would let a key leave without its entry.
    options: "-c synchronous_commit=on -c search_path=cloister",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_TRANSACTION_TIMEOUT_MS,
    keepAlive: true,
  };
}
