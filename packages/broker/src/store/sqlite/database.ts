import type { StoreDatabase } from "../client.ts";
import { SqliteConnection, type SqliteSettings } from "./connection.ts";
import { prepareSqlite } from "./schema.ts";

/**
 * Opens a database in a file, mode 0600, and makes it where there is none.
 * Throws STORE_OPTIONS_INVALID, STORE_NOT_DURABLE, STORE_DAMAGED or STORE_UNAVAILABLE.
 */
export async function openSqlite(settings: SqliteSettings): Promise<StoreDatabase> {
  // Readers do not wait for appends. Writers take turns in the whole database, so one connection is enough for them.
  const [writer, reader] = [new SqliteConnection(settings), new SqliteConnection(settings)];
  const close = async (): Promise<void> => {
    // One after the other: of two that close at the same moment neither is the last, which brings the write-ahead log into the file.
    await reader.close();
    await writer.close();
  };
  try {
    await writer.use(prepareSqlite);
  } catch (error) {
    await close();
    throw error;
  }
  return { writer, reader, switches: writer, listen: () => Promise.resolve(), close };
}
