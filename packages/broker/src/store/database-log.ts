import type { KeyObject } from "node:crypto";
import { equalBytes } from "@cloister/encoding";
import {
  type AppendOptions,
  type CheckpointSigner,
  decodeLogEntry,
  encodeLogEntry,
  GroupCommit,
  leafHash,
  type LogEntry,
  type LogProof,
  MerkleTree,
  type Pending,
  type ReleaseLog,
  ReleaseLogError,
  verifyCheckpoint,
} from "@cloister/release-log";
import type { StoreClient, StoreConnection } from "./client.ts";
import { type Head, logError, readHead, readLeafHashes, readLeaves } from "./log-rows.ts";

/** Entries that share one transaction, one signature and one flush of the database at most. */
const MAX_BATCH = 1024;

interface Item {
  readonly entry: LogEntry;
  readonly leaf: Uint8Array;
  readonly unlessReleased: boolean;
}

type PendingItem = Pending<Item, LogProof>;

export interface DatabaseLogOptions {
  /** Transactions of appends take turns on this one. */
  readonly writer: StoreConnection;
  readonly reader: StoreConnection;
  readonly origin: string;
  readonly publicKey: KeyObject;
  readonly signer: CheckpointSigner;
}

/**
 * One log that several brokers write. An append locks the head row, catches up with what others wrote, takes the next index
 * and signs the new checkpoint, all in one transaction; appends that arrive meanwhile share the next one. Every broker has
 * the tree in memory and holds the database to it: a log that was cut, or is no continuation, takes nothing more.
 */
export class DatabaseLog implements ReleaseLog {
  readonly #options: DatabaseLogOptions;
  readonly #tree = new MerkleTree();
  readonly #commits = new GroupCommit<Item, LogProof>((batch) => this.#commit(batch), MAX_BATCH);
  #size = 0;
  #checkpoint = "";
  /** Why the log takes nothing more. */
  #refusal: ReleaseLogError | undefined;

  /** Call `refresh` before anything else. */
  constructor(options: DatabaseLogOptions) {
    this.#options = options;
  }

  /** As last seen; other brokers may have added entries since. */
  get size(): number {
    return this.#size;
  }

  get checkpoint(): string {
    return this.#checkpoint;
  }

  get isBroken(): boolean {
    return this.#refusal?.code === "LOG_BROKEN";
  }

  /**
   * Rejects with LOG_ENTRY_MALFORMED, LOG_ALREADY_RELEASED, LOG_POLICY_SUPERSEDED, LOG_CORRUPT, LOG_FORKED, LOG_BROKEN, LOG_CLOSED,
   * or LOG_WRITE_FAILED, after which the entry may or may not be in the log.
   */
  async append(entry: LogEntry, { unlessReleased = false }: AppendOptions = {}): Promise<LogProof> {
    const leaf = encodeLogEntry(entry);
    if (this.#refusal !== undefined) throw this.#refusal;
    return this.#commits.add({ entry, leaf, unlessReleased });
  }

  /** Catches up with what other brokers wrote. Throws LOG_CORRUPT, LOG_FORKED, LOG_SIGNATURE_INVALID or LOG_WRITE_FAILED. */
  async refresh(): Promise<void> {
    await this.#withWriter(async (client) => this.#catchUp(client, await readHead(client, { lock: false })));
  }

  /** Proof for an entry against the newest checkpoint seen. Throws LOG_RANGE or LOG_CORRUPT. */
  async prove(index: number): Promise<LogProof> {
    const path = this.#tree.inclusionPath(index, this.#size);
    const checkpoint = this.#checkpoint;
    for await (const [entry] of this.#leaves(index, index + 1)) {
      if (entry !== undefined) return { leafIndex: index, entry, path, checkpoint };
    }
    throw logError("LOG_RANGE", "the log has no such entry");
  }

  /** Proof that the newest checkpoint seen continues the one of `olderSize` entries. Throws LOG_RANGE. */
  consistencyPath(olderSize: number): Uint8Array[] {
    return this.#tree.consistencyPath(olderSize, this.#size);
  }

  async *entries(start = 0): AsyncGenerator<{ readonly index: number; readonly entry: LogEntry }> {
    let index = start;
    for await (const leaves of this.#leaves(start, this.#size)) {
      for (const leaf of leaves) yield { index: index++, entry: decodeLogEntry(leaf) };
    }
  }

  /** Waits for appends in progress. The connections are closed by who opened them. */
  async close(): Promise<void> {
    this.#refusal ??= logError("LOG_CLOSED", "the log was closed");
    await this.#commits.idle();
  }

  async *#leaves(start: number, end: number): AsyncGenerator<Uint8Array[]> {
    yield* readLeaves(this.#options.reader, start, end);
  }

  async #commit(batch: readonly PendingItem[]): Promise<void> {
    if (this.#refusal?.code === "LOG_BROKEN") throw this.#refusal;
    const { taken, refused } = await this.#withWriter((client) => this.#transaction(client, batch));
    for (const { pending, error } of refused) pending.reject(error);
    const first = this.#size - taken.length;
    for (const [i, { item, resolve }] of taken.entries()) {
      const leafIndex = first + i;
      const path = this.#tree.inclusionPath(leafIndex, this.#size);
      resolve({ leafIndex, entry: item.leaf, path, checkpoint: this.#checkpoint });
    }
  }

  async #transaction(client: StoreClient, batch: readonly PendingItem[]): Promise<Sifted> {
    const head = await readHead(client, { lock: true });
    await this.#catchUp(client, head);
    const guarded = batch.flatMap(({ item }) => (item.unlessReleased ? (item.entry.peerKeySha256 ?? []) : []));
    const rows = guarded.length > 0 ? await client.servedAmong(guarded) : [];
    const before = new Set(rows.map((row) => String(row["peer_key_sha256"])));
    const sifted = sift(batch, head, before);
    const leaves = sifted.taken.map(({ item }) => item.leaf);
    if (leaves.length === 0) {
      await client.query("ROLLBACK");
      return sifted;
    }
    const leafHashes = leaves.map(leafHash);
    for (const hash of leafHashes) this.#tree.append(hash);
    const checkpoint = this.#options.signer.sign({ size: this.#tree.size, root: this.#tree.root() });
    const firstIndex = this.#size;
    const served = servedKeys(sifted.taken, firstIndex);
    await client.commitEntries({ firstIndex, leaves, leafHashes, served, checkpoint });
    this.#size = this.#tree.size;
    this.#checkpoint = checkpoint;
    return sifted;
  }

  /** Takes over what the head says, if it is signed and continues what this broker has seen. */
  async #catchUp(client: StoreClient, { size, checkpoint }: Head): Promise<void> {
    if (checkpoint === this.#checkpoint && size === this.#size) return;
    const { origin, publicKey } = this.#options;
    const signed = verifyCheckpoint(checkpoint, { origin, publicKey });
    if (signed.size !== size) throw logError("LOG_CORRUPT", "the head and its checkpoint differ in size");
    if (size < this.#size) throw logError("LOG_FORKED", "the log is shorter than it was");
    for await (const hashes of readLeafHashes(client, this.#size, size)) {
      for (const hash of hashes) this.#tree.append(hash);
    }
    if (!equalBytes(this.#tree.root(), signed.root)) {
      throw logError("LOG_FORKED", "the entries do not lead from what was seen before to the signed root");
    }
    this.#size = size;
    this.#checkpoint = checkpoint;
  }

  /** Whatever goes wrong, the tree goes back to what is known to be in the database. */
  async #withWriter<T>(work: (client: StoreClient) => Promise<T>): Promise<T> {
    return this.#options.writer
      .use(async (client) => {
        try {
          return await work(client);
        } catch (error) {
          this.#tree.truncate(this.#size);
          if (error instanceof ReleaseLogError && error.code === "LOG_BROKEN") this.#refusal ??= error;
          throw error;
        }
      })
      .catch((error: unknown) => {
        throw error instanceof ReleaseLogError
          ? error
          : logError("LOG_WRITE_FAILED", "the database did not confirm the transaction", error);
      });
  }
}

interface Sifted {
  readonly taken: readonly PendingItem[];
  readonly refused: readonly { readonly pending: PendingItem; readonly error: ReleaseLogError }[];
}

/** Sorts out releases that another broker has made, or that were decided under a policy no longer active. */
function sift(batch: readonly PendingItem[], { policySha256 }: Head, served: Set<string>): Sifted {
  const taken: PendingItem[] = [];
  const refused: { pending: PendingItem; error: ReleaseLogError }[] = [];
  for (const pending of batch) {
    const { entry, unlessReleased } = pending.item;
    const key = entry.decision === "released" ? entry.peerKeySha256 : null;
    if (entry.decision === "released" && policySha256 !== null && entry.policySha256 !== policySha256) {
      refused.push({ pending, error: logError("LOG_POLICY_SUPERSEDED", "another policy is active") });
    } else if (unlessReleased && key !== null && served.has(key)) {
      refused.push({ pending, error: logError("LOG_ALREADY_RELEASED", "the log has a release to this key") });
    } else {
      taken.push(pending);
      if (key !== null) served.add(key);
    }
  }
  return { taken, refused };
}

function servedKeys(taken: readonly PendingItem[], firstIndex: number) {
  return taken.flatMap(({ item: { entry } }, i) =>
    entry.decision === "released" && entry.peerKeySha256 !== null
      ? [{ peerKeySha256: entry.peerKeySha256, leafIndex: firstIndex + i }]
      : [],
  );
}
