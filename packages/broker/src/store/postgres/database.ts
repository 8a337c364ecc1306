import type { StoreDatabase } from "../client.ts";
import { unavailable } from "../unavailable.ts";
import { POLICY_CHANNEL } from "./client.ts";
import { type Client, connectPostgres, discard, PostgresConnection, type PostgresSettings } from "./connection.ts";
import { prepareDatabase } from "./schema.ts";

/**
 * Opens a database on a PostgreSQL server, and makes the tables where it has none.
 * Throws STORE_OPTIONS_INVALID, STORE_UNAVAILABLE or STORE_NOT_DURABLE.
 */
export async function openPostgres(settings: PostgresSettings): Promise<StoreDatabase> {
  // Appends, everything that is read, and switches of the policy do not wait for each other.
  const connections = Array.from({ length: 3 }, () => new PostgresConnection(settings));
  const [writer, reader, switches] = connections as [PostgresConnection, PostgresConnection, PostgresConnection];
  const notices = new Notices(settings);
  const close = async (): Promise<void> => {
    notices.close();
    await Promise.all(connections.map((connection) => connection.close()));
  };
  try {
    await writer.use(prepareDatabase);
  } catch (error) {
    await close();
    throw error;
  }
  return { writer, reader, switches, listen: (wake) => notices.listen(wake), close };
}

/** A connection that hears of switches of the policy; opened again by the next `listen` when it is lost. */
class Notices {
  readonly #settings: PostgresSettings;
  #client: Client | undefined;

  constructor(settings: PostgresSettings) {
    this.#settings = settings;
  }

  async listen(wake: () => void): Promise<void> {
    if (this.#client !== undefined) return;
    const client = await connectPostgres(this.#settings);
    const forget = (): void => {
      if (this.#client === client) this.#client = undefined;
    };
    client.on("notification", wake).on("error", forget).on("end", forget);
    this.#client = client;
    try {
      await client.query(`LISTEN ${POLICY_CHANNEL}`);
    } catch (error) {
      forget();
      discard(client);
      throw unavailable(error);
    }
  }

  close(): void {
    if (this.#client !== undefined) discard(this.#client);
    this.#client = undefined;
  }
}
