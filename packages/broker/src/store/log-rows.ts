import { ReleaseLogError, type ReleaseLogErrorCode } from "@cloister/release-log";
import type { StoreClient, StoreConnection } from "./client.ts";
import { unavailable } from "./unavailable.ts";

// Reading the log.

/** Leaf hashes that one statement reads: 1.6 MB, twice that as hexadecimal digits. */
const HASH_PAGE = 50_000;
const ENTRY_PAGE = 2000;
const HASH_BYTES = 32;

export interface Head {
  readonly size: number;
  readonly checkpoint: string;
  /** Digest of the active policy; null where none was ever activated. */
  readonly policySha256: string | null;
}

/** Reads the head; with `lock`, in a transaction that it begins and that makes every other writer wait. */
export async function readHead(client: StoreClient, { lock }: { lock: boolean }): Promise<Head> {
  if (lock) await client.begin();
  const [row] = await client.query(`SELECT size, checkpoint, policy_sha256 FROM head${lock ? client.forUpdate : ""}`);
  if (row === undefined)
    throw logError("LOG_CORRUPT", "it has no signed head: no broker was started with it yet, or the head is gone");
  const { size, checkpoint, policy_sha256: policy } = row;
  return {
    size: Number(size),
    checkpoint: String(checkpoint),
    policySha256: typeof policy === "string" ? policy : null,
  };
}

/** Yields the leaf hashes from `start` to `end` in pages. Throws LOG_CORRUPT for a gap. */
export async function* readLeafHashes(client: StoreClient, start: number, end: number): AsyncGenerator<Uint8Array[]> {
  for (let from = start; from < end; from += HASH_PAGE) {
    const to = Math.min(from + HASH_PAGE, end);
    const hashes = await client.leafHashes(from, to);
    if (hashes.length !== (to - from) * HASH_BYTES) throw logError("LOG_CORRUPT", "entries are missing");
    yield Array.from({ length: to - from }, (_, i) => hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
  }
}

/** Yields the entries from `start` to `end` in pages, each as its bytes. Throws LOG_CORRUPT for a gap. */
export async function* readLeaves(
  connection: StoreConnection,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array[]> {
  for (let from = start; from < end; from += ENTRY_PAGE) {
    const to = Math.min(from + ENTRY_PAGE, end);
    const leaves = await connection
      .use(async (client) => client.leaves(from, to))
      .catch((error: unknown) => {
        throw unavailable(error);
      });
    if (leaves.length !== to - from) throw logError("LOG_CORRUPT", "entries are missing");
    yield leaves;
  }
}

export function logError(code: ReleaseLogErrorCode, why: string, cause?: unknown): ReleaseLogError {
  return new ReleaseLogError(
    code,
    {
      what: "the release log did not do it",
      why,
      remedy: "nothing was released; look at the store and at the other brokers",
    },
    { cause },
  );
}
