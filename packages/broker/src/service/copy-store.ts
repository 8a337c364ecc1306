import { rename } from "node:fs/promises";
import { createPublicKey, type KeyObject } from "node:crypto";
import { join } from "node:path";
import { type LogEntry, parseCheckpoint, type ReleaseLog, verifyContinuation } from "@cloister/release-log";
import { openReleaseLog } from "@cloister/release-log/file";
import { BrokerError } from "../broker-error.ts";
import type { KeyStorage } from "../keys/key-storage.ts";
import { type BrokerStore, openStore, type StoreSettings } from "../store/store.ts";
import { unavailable } from "../store/unavailable.ts";
import { verifyStoredLog } from "../store/verify-log.ts";
import { type IdentityOptions, isThere, keyStorageOf, openIdentity, STATE_FILES } from "./identity.ts";

/** Entries that are on their way to the copy at a time. */
const WAVE = 1000;

export interface CopyStoreOptions extends IdentityOptions {
  /** A log in a file of its own. */
  readonly logFile?: string;
  /** Name of the log. */
  readonly origin: string;
  readonly to: StoreSettings;
}

/**
 * Copies keys and log of a broker that does not run to an empty store, and verifies the copy: every entry, and that it ends in
 * the same checkpoint. What it is copied from stays as it is. A copy to a server that was interrupted goes on where it stood. The
 * policy is not copied: the next start takes it from its file.
 * Throws STORE_OPTIONS_INVALID where something else is there, LOG_LOCKED while a broker has the file, and what opening throws.
 */
export async function copyStore(options: CopyStoreOptions): Promise<{ readonly entries: number }> {
  const { to } = options;
  if (!("path" in to)) return copyTo(options);
  if (await isThere(to.path)) throw notEmpty("there is a file of that name");
  // Under its name the file is whole or not there: a broker that starts takes what it finds.
  const path = `${to.path}.new`;
  const copied = await copyTo({ ...options, to: { path } });
  // A write-ahead log would stay behind under the old name, with entries in it.
  if (await isThere(`${path}-wal`)) throw unavailable(new Error("another program has the copy open"));
  await rename(path, to.path);
  return copied;
}

async function copyTo(options: CopyStoreOptions): Promise<{ entries: number }> {
  const { origin, stateDir, logFile } = options;
  const { signingKey, store: source } = await openIdentity(options);
  let target: BrokerStore | undefined;
  try {
    const inFile = logFile !== undefined || source === undefined;
    const path = logFile ?? join(stateDir, STATE_FILES.log);
    const from = inFile
      ? await openReleaseLog({ path, origin, signingKey })
      : (await source.openLog({ origin, signingKey })).log;
    try {
      target = await openStore(options.to);
      await copyLog(from, (await target.openLog({ origin, signingKey })).log);
      await copyKeys(keyStorageOf(options, source), target.keyStorage);
      await verifyCopy(options.to, { origin, signingKey, checkpoint: from.checkpoint });
      return { entries: from.size };
    } finally {
      await from.close();
    }
  } finally {
    await target?.close();
    await source?.close();
  }
}

interface ProvableLog extends ReleaseLog {
  consistencyPath(olderSize: number): Uint8Array[];
}

async function copyLog(from: ProvableLog, to: ReleaseLog): Promise<void> {
  const [older, newer] = [parseCheckpoint(to.checkpoint), parseCheckpoint(from.checkpoint)];
  // What is there already has to be the beginning of this log.
  verifyContinuation(older, newer, older.size <= newer.size ? from.consistencyPath(older.size) : []);
  let wave: LogEntry[] = [];
  const write = async (): Promise<void> => {
    await Promise.all(wave.map((entry) => to.append(entry)));
    wave = [];
  };
  for await (const { entry } of from.entries(older.size)) {
    if (wave.push(entry) === WAVE) await write();
  }
  await write();
}

/** The document as it is: it stays encrypted under the same passphrase or vault. */
async function copyKeys(from: KeyStorage, to: KeyStorage): Promise<void> {
  const { bytes } = await from.read();
  await to.update(async (there) => {
    if (there.bytes === undefined) return bytes;
    if (bytes === undefined || !Buffer.from(bytes).equals(there.bytes)) throw notEmpty("other keys are in it");
    return undefined;
  });
}

async function verifyCopy(
  settings: StoreSettings,
  expected: { readonly origin: string; readonly signingKey: KeyObject; readonly checkpoint: string },
): Promise<void> {
  const { origin, signingKey, checkpoint } = expected;
  const copy = await verifyStoredLog(settings, { origin, publicKey: createPublicKey(signingKey), seen: checkpoint });
  if (copy.checkpoint !== checkpoint) throw notEmpty("its log goes on after the end of this one");
}

function notEmpty(why: string): BrokerError {
  return new BrokerError("STORE_OPTIONS_INVALID", {
    what: "the store was not copied",
    why,
    remedy: "give an empty database, or the name of a file that is not there",
  });
}
