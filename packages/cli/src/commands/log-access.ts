import { createPublicKey, type KeyObject } from "node:crypto";
import { join } from "node:path";
import { logOrigin, STATE_FILES } from "@cloister/broker/service";
import { verifyStoredLog } from "@cloister/broker/store";
import type { LogEntry } from "@cloister/release-log";
import { type VerifiedLog, verifyReleaseLogFile } from "@cloister/release-log/file";
import type { Command } from "commander";
import { readText } from "../read-document.ts";
import { storeOf } from "./broker/options.ts";

export interface LogFlags {
  readonly json?: boolean;
  readonly stateDir: string;
  readonly log?: string;
  readonly logKey?: string;
  readonly origin: string;
  readonly store?: string;
  readonly storePasswordFile?: string;
  readonly storeCa?: string;
}

/** A release log: in a database, or a file of its own. */
export interface LogAccess {
  readonly origin: string;
  readonly publicKey: KeyObject;
  /** Verifies the whole log, every checkpoint too where `everyCheckpoint` is set. */
  readonly verify: (options?: {
    readonly seen?: string;
    readonly everyCheckpoint?: boolean;
    readonly onEntry?: (entry: LogEntry, index: number) => void;
  }) => Promise<VerifiedLog>;
}

/** Options of everything that reads the log. */
export function withLogOptions(command: Command): Command {
  return command
    .option("--state-dir <folder>", "the broker's state, with log and log key", "broker-state")
    .option("--store <url>", "sqlite:FILE or postgresql://user@host/db (default: broker.db in the state folder)")
    .option("--log <file>", "log in a file of its own (default: release.log in the state folder, if it is there)")
    .option("--store-password-file <file>", "its password, mode 0600")
    .option("--store-ca <file>", "authority of its certificate, PEM; needed unless it is on this machine")
    .option("--log-key <file>", "its public key, PEM (default: log-key.pem in the state folder)")
    .option("--origin <name>", "name of the log", logOrigin("attestation.service.com"))
    .option("--json", "print one JSON document; `log show` prints one JSON object a line");
}

/** The log that the flags name; nothing is read yet but its key. */
export async function openLogAccess(flags: LogFlags): Promise<LogAccess> {
  const keyPath = flags.logKey ?? join(flags.stateDir, STATE_FILES.logKey);
  const expected = { origin: flags.origin, publicKey: createPublicKey(await readText(keyPath)) };
  const store = flags.log === undefined ? await storeOf(flags) : undefined;
  if (store !== undefined) {
    const verify: LogAccess["verify"] = async (options) => ({
      ...(await verifyStoredLog(store, { ...options, ...expected })),
      unacknowledgedBytes: 0,
    });
    return { ...expected, verify };
  }
  const path = flags.log ?? join(flags.stateDir, STATE_FILES.log);
  return { ...expected, verify: (options) => verifyReleaseLogFile(path, { ...options, ...expected }) };
}
