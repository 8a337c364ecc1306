import { BrokerError } from "../broker-error.ts";
import type { KeyStorage, SeenDocument } from "../keys/key-storage.ts";
import type { Row, StoreClient, StoreConnection } from "./client.ts";
import { unavailable } from "./unavailable.ts";

const NAME = "keys";
const NOTHING: SeenDocument = { bytes: undefined, mark: "" };

/**
 * The encrypted key document in the database. It arrives there encrypted: the database never sees a key. The mark is a
 * version number; a document that goes back to an older version, or away, is STORE_DAMAGED: a revoked key would come back.
 */
export function databaseKeyStorage(connection: StoreConnection): KeyStorage {
  let newest = 0;
  const check = (mark: string): string => {
    const version = mark === "" ? 0 : Number(mark);
    if (!Number.isSafeInteger(version) || version < newest) throw damaged();
    newest = version;
    return mark;
  };
  const using = async <T>(work: (client: StoreClient) => Promise<T>): Promise<T> => {
    try {
      return await connection.use(work);
    } catch (error) {
      throw error instanceof BrokerError ? error : unavailable(error);
    }
  };
  return {
    read: () =>
      using(async (client) => {
        const seen = await readDocument(client);
        check(seen.mark);
        return seen;
      }),
    async mark() {
      const [row] = await connection.query("SELECT version FROM documents WHERE name = $1", [NAME]);
      return check(markOf(row));
    },
    update: (edit) =>
      using(async (client) => {
        await client.begin();
        await client.lockDocuments();
        const seen = await readDocument(client);
        check(seen.mark);
        const bytes = await edit(seen);
        if (bytes === undefined) {
          await client.query("ROLLBACK");
          return seen.mark;
        }
        const version = String(Number(seen.mark) + 1);
        await client.query(
          `INSERT INTO documents (name, version, content) VALUES ($1, $2, $3)
           ON CONFLICT (name) DO UPDATE SET version = $2, content = $3`,
          [NAME, version, bytes],
        );
        await client.query("COMMIT");
        return check(version);
      }),
  };
}

async function readDocument(client: StoreClient): Promise<SeenDocument> {
  const [row] = await client.query("SELECT version, content FROM documents WHERE name = $1", [NAME]);
  if (row === undefined) return NOTHING;
  const { content } = row;
  if (!(content instanceof Uint8Array)) throw damaged();
  return { bytes: content, mark: markOf(row) };
}

function markOf(row: Row | undefined): string {
  const version = row?.["version"];
  return typeof version === "string" || typeof version === "number" ? String(version) : "";
}

function damaged(): BrokerError {
  return new BrokerError("STORE_DAMAGED", {
    what: "the keys of the store were not read",
    why: "their document is gone, or older than the one seen before",
    remedy: "restore the newest copy of the database",
  });
}
