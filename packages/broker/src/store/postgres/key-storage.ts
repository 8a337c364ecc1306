import { BrokerError } from "../../broker-error.ts";
import type { KeyStorage, SeenDocument } from "../../keys/key-storage.ts";
import { type Client, type Connection, unavailable } from "./connection.ts";

const NAME = "keys";
const NOTHING: SeenDocument = { bytes: undefined, mark: "" };

/**
 * The encrypted key document in the database. It arrives there encrypted: the database never sees a key. The mark is a
 * version number; a document that goes back to an older version, or away, is STORE_DAMAGED: a revoked key would come back.
 */
export function postgresKeyStorage(connection: Connection): KeyStorage {
  let newest = 0;
  const check = (mark: string): string => {
    const version = mark === "" ? 0 : Number(mark);
    if (!Number.isSafeInteger(version) || version < newest) throw damaged();
    newest = version;
    return mark;
  };
  const using = async <T>(work: (client: Client) => Promise<T>): Promise<T> => {
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
      const [row] = await connection.query("SELECT version::text FROM cloister.documents WHERE name = $1", [NAME]);
      const version = row?.["version"];
      return check(typeof version === "string" ? version : "");
    },
    update: (edit) =>
      using(async (client) => {
        await client.query("BEGIN");
        // A lock on the row would not stop two first writers.
        await client.query("LOCK TABLE cloister.documents IN EXCLUSIVE MODE");
        const seen = await readDocument(client);
        check(seen.mark);
        const bytes = await edit(seen);
        if (bytes === undefined) {
          await client.query("ROLLBACK");
          return seen.mark;
        }
        const version = String(Number(seen.mark) + 1);
        await client.query(
          `INSERT INTO cloister.documents (name, version, content) VALUES ($1, $2, $3)
           ON CONFLICT (name) DO UPDATE SET version = $2, content = $3`,
          [NAME, version, bytes],
        );
        await client.query("COMMIT");
        return check(version);
      }),
  };
}

async function readDocument(client: Client): Promise<SeenDocument> {
  const { rows } = await client.query<{ version: string; content: Uint8Array }>(
    "SELECT version::text, content FROM cloister.documents WHERE name = $1",
    [NAME],
  );
  return rows[0] === undefined ? NOTHING : { bytes: rows[0].content, mark: rows[0].version };
}

function damaged(): BrokerError {
  return new BrokerError("STORE_DAMAGED", {
    what: "the shared keys were not read",
    why: "their document is gone, or older than the one seen before",
    remedy: "restore the newest copy of the database",
  });
}
