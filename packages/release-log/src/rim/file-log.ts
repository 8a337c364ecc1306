import { createPublicKey, type KeyObject } from "node:crypto";
import { concatBytes } from "@cloister/encoding";
import { CheckpointSigner } from "../checkpoint.ts";
import { decodeLogEntry, encodeLogEntry, type LogEntry } from "../entry.ts";
import { GroupCommit, type Pending } from "../group-commit.ts";
import type { LogProof, ReleaseLog } from "../log.ts";
import { checkpointLine, classifyLine, MAX_LINE_BYTES, NEWLINE } from "../log-line.ts";
import { EMPTY_ROOT, leafHash } from "../merkle.ts";
import { ReleaseLogError, type ReleaseLogErrorCode } from "../release-log-error.ts";
import { lockFile } from "./file-lock.ts";
import { readLines } from "./read-lines.ts";
import { type ScannedLog, scanLog } from "./scan.ts";
import { createFile, type LogStorage, openFileStorage } from "./storage.ts";

/** Entries that share one write, one signature and one fsync at most. */
const MAX_BATCH = 4096;
const NEWLINE_BYTES = Uint8Array.of(NEWLINE);

export interface OpenLogOptions {
  readonly path: string;
  /** Name of the log in its checkpoints. */
  readonly origin: string;
  /** Ed25519 private key that signs checkpoints. */
  readonly signingKey: KeyObject;
}

/**
 * Opens a log, or makes one. Checks the whole of it against its newest checkpoint and cuts off what a crash left half
 * written. Throws LOG_CORRUPT, LOG_SIGNATURE_INVALID, LOG_LOCKED, and errors of the file system.
 */
export async function openReleaseLog({ path, origin, signingKey }: OpenLogOptions): Promise<FileReleaseLog> {
  const unlock = await lockFile(path);
  try {
    const publicKey = createPublicKey(signingKey);
    const signer = new CheckpointSigner(origin, signingKey, publicKey);
    await createFile(path, checkpointLine(signer.sign({ size: 0, root: EMPTY_ROOT })));
    const storage = await openFileStorage(path);
    return await openStoredLog(storage, { origin, publicKey, signer, onClose: unlock });
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** The same over any storage that already holds a log. */
export async function openStoredLog(
  storage: LogStorage,
  options: { origin: string; publicKey: KeyObject; signer: CheckpointSigner; onClose?: () => Promise<void> },
): Promise<FileReleaseLog> {
  try {
    const scanned = await scanLog(storage, options);
    if (scanned.tornBytes > 0) {
      await storage.truncate(scanned.end);
      await storage.sync();
    }
    return new FileReleaseLog(storage, scanned, options.signer, options.onClose);
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** A log in one file. Appends that arrive while the disk is busy share the next write and fsync. */
export class FileReleaseLog implements ReleaseLog {
  readonly #storage: LogStorage;
  readonly #signer: CheckpointSigner;
  readonly #tree: ScannedLog["tree"];
  readonly #offsets: number[];
  readonly #onClose: (() => Promise<void>) | undefined;
  /** Bytes that a crash had left behind and that were cut off on opening. */
  readonly tornBytes: number;
  #size: number;
  #end: number;
  #checkpoint: string;
  readonly #commits = new GroupCommit<Uint8Array, LogProof>((batch) => this.#commit(batch), MAX_BATCH);
  #refusal: ReleaseLogError | undefined;

  constructor(storage: LogStorage, scanned: ScannedLog, signer: CheckpointSigner, onClose?: () => Promise<void>) {
    this.#storage = storage;
    this.#signer = signer;
    this.#tree = scanned.tree;
    this.#offsets = scanned.offsets;
    this.#onClose = onClose;
    this.tornBytes = scanned.tornBytes;
    this.#size = scanned.tree.size;
    this.#end = scanned.end;
    this.#checkpoint = scanned.checkpoint;
  }

  get size(): number {
    return this.#size;
  }

  get checkpoint(): string {
    return this.#checkpoint;
  }

  get isBroken(): boolean {
    return this.#refusal?.code === "LOG_BROKEN";
  }

  /** Throws (rejects with) LOG_ENTRY_MALFORMED, LOG_WRITE_FAILED, LOG_BROKEN or LOG_CLOSED; the entry is then not in the log. */
  async append(entry: LogEntry): Promise<LogProof> {
    const leaf = encodeLogEntry(entry);
    if (this.#refusal !== undefined) throw this.#refusal;
    return this.#commits.add(leaf);
  }

  /** Proof for an entry against the newest checkpoint. Throws LOG_RANGE. */
  async prove(index: number): Promise<LogProof> {
    const path = this.#tree.inclusionPath(index, this.#size);
    const checkpoint = this.#checkpoint;
    const offset = this.#offsets[index];
    if (offset === undefined) throw logError("LOG_RANGE", "the log has no such entry");
    const bytes = await this.#storage.read(offset, MAX_LINE_BYTES);
    return { leafIndex: index, entry: bytes.slice(0, bytes.indexOf(NEWLINE)), path, checkpoint };
  }

  /** Proof that the newest checkpoint continues the one of `olderSize` entries. Throws LOG_RANGE. */
  consistencyPath(olderSize: number): Uint8Array[] {
    return this.#tree.consistencyPath(olderSize, this.#size);
  }

  async *entries(start = 0): AsyncGenerator<{ readonly index: number; readonly entry: LogEntry }> {
    for await (const { leaf, index } of this.#leaves(start)) yield { index, entry: decodeLogEntry(leaf) };
  }

  /** Waits for appends in progress, then gives the file back. */
  async close(): Promise<void> {
    if (this.#refusal?.code === "LOG_CLOSED") return;
    this.#refusal = logError("LOG_CLOSED", "the log was closed");
    await this.#commits.idle();
    await this.#storage.close();
    await this.#onClose?.();
  }

  async *#leaves(start: number): AsyncGenerator<{ leaf: Uint8Array; index: number }> {
    const [size, end] = [this.#size, this.#end];
    const from = this.#offsets[start];
    if (from === undefined || start >= size) return;
    let index = start;
    for await (const lines of readLines(this.#storage, from)) {
      for (const line of lines) {
        if (line.end > end) return;
        const parsed = classifyLine(line.line);
        if (parsed.kind === "entry") yield { leaf: parsed.leaf.slice(), index: index++ };
      }
    }
  }

  async #commit(batch: readonly Pending<Uint8Array, LogProof>[]): Promise<void> {
    if (this.#refusal?.code === "LOG_BROKEN") throw this.#refusal;
    await this.#store(batch.map((pending) => pending.item));
    const first = this.#size - batch.length;
    for (const [i, { item, resolve }] of batch.entries()) {
      const leafIndex = first + i;
      const path = this.#tree.inclusionPath(leafIndex, this.#size);
      resolve({ leafIndex, entry: item, path, checkpoint: this.#checkpoint });
    }
  }

  /** Makes the leaves and a checkpoint over them durable, or leaves everything as it was. */
  async #store(leaves: readonly Uint8Array[]): Promise<void> {
    const offsets: number[] = [];
    let offset = this.#end;
    for (const leaf of leaves) {
      this.#tree.append(leafHash(leaf));
      offsets.push(offset);
      offset += leaf.length + 1;
    }
    const size = this.#tree.size;
    const note = this.#signer.sign({ size, root: this.#tree.root() });
    const bytes = concatBytes(...leaves.flatMap((leaf) => [leaf, NEWLINE_BYTES]), checkpointLine(note));
    try {
      await this.#storage.write(this.#end, bytes);
    } catch (error) {
      await this.#undo(error);
      throw logError("LOG_WRITE_FAILED", "the disk took no more bytes", error);
    }
    try {
      await this.#storage.sync();
    } catch (error) {
      // After a failed fsync the kernel may have dropped the pages: what is on disk is unknown, so nothing may follow it.
      throw this.#break(error);
    }
    for (const value of offsets) this.#offsets.push(value);
    this.#size = size;
    this.#end += bytes.length;
    this.#checkpoint = note;
  }

  async #undo(cause: unknown): Promise<void> {
    this.#tree.truncate(this.#size);
    try {
      await this.#storage.truncate(this.#end);
    } catch {
      throw this.#break(cause);
    }
  }

  #break(cause: unknown): ReleaseLogError {
    this.#tree.truncate(this.#size);
    const error = logError("LOG_BROKEN", "a failed write could not be undone or an fsync failed", cause);
    this.#refusal ??= error;
    return error;
  }
}

function logError(code: ReleaseLogErrorCode, why: string, cause?: unknown): ReleaseLogError {
  return new ReleaseLogError(
    code,
    {
      what: "the release log did not take the entry",
      why,
      remedy: "nothing was released; look at the disk and open the log again",
    },
    { cause },
  );
}
