import { randomUUID } from "node:crypto";
import { mkdir, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fromUtf8 } from "@cloister/encoding";
import { checkQuote, checkReportData, quoteFailed, systemCode } from "./check-quote.ts";
import { readDeviceFile, writeDeviceFile } from "./device-file.ts";
import type { PlatformDriver } from "./driver.ts";
import { Turns } from "./turns.ts";

const TSM_FOLDER = "/sys/kernel/config/tsm/report";

const PROVIDER = "tdx_guest";
const MAX_QUOTE_BYTES = 16_384;
const MAX_ATTRIBUTE_BYTES = 256;
const ATTEMPTS = 5;
const PAUSE_MS = 50;
/** Codes with which the kernel says that somebody else is at the entry, or that the quoting service is busy. */
const TRY_AGAIN = new Set(["EBUSY", "EAGAIN", "EWOULDBLOCK", "EINTR"]);

/** How an entry appears and goes: on configfs making the folder makes its attributes, and removing it removes them. */
export interface EntryMaker {
  readonly make: (path: string) => Promise<unknown>;
  readonly remove: (path: string) => Promise<unknown>;
}

export interface TdxDriverOptions {
  readonly folder?: string;
  /** An entry that is there already, for containers that may not make one. Default: a new one for each quote. */
  readonly entry?: string;
  readonly maker?: EntryMaker;
}

/**
 * Attestation in a TDX guest, through the kernel's common interface for quotes (configfs-tsm, Linux 6.7 and later;
 * Documentation/ABI/testing/configfs-tsm-report).
 */
export class TdxDriver implements PlatformDriver {
  readonly name = "tdx";
  readonly simulated = false;
  readonly #folder: string;
  readonly #entry: string | undefined;
  readonly #maker: EntryMaker;
  readonly #turns = new Turns();

  constructor({ folder = TSM_FOLDER, entry, maker = { make: mkdir, remove: rmdir } }: TdxDriverOptions = {}) {
    this.#folder = folder;
    this.#entry = entry;
    this.#maker = maker;
  }

  quote(reportData: Uint8Array): Promise<Uint8Array> {
    checkReportData(reportData);
    return this.#turns.take(() => this.#quote(reportData));
  }

  async #quote(reportData: Uint8Array): Promise<Uint8Array> {
    const quote = await this.#withEntry((path) => askUntilUndisturbed(path, reportData)).catch((cause: unknown) => {
      throw quoteFailed(
        `the kernel refused (${systemCode(cause)})`,
        "look at the quoting service on the host (qgsd) and its connection to the guest: cloister doctor --for tdx",
        cause,
      );
    });
    return checkQuote(quote, "tdx", reportData);
  }

  async #withEntry<T>(work: (path: string) => Promise<T>): Promise<T> {
    if (this.#entry !== undefined) return work(join(this.#folder, this.#entry));
    const path = join(this.#folder, `cloister-${randomUUID()}`);
    await this.#maker.make(path);
    try {
      return await work(path);
    } finally {
      await this.#maker.remove(path).catch(() => undefined);
    }
  }
}

/** Another process may write to the same entry in between; the kernel counts writes, so that this shows. */
async function askUntilUndisturbed(path: string, reportData: Uint8Array): Promise<Uint8Array> {
  for (let attempt = 1; ; attempt++) {
    try {
      const before = await generation(path);
      await writeDeviceFile(join(path, "inblob"), reportData);
      const quote = await readDeviceFile(join(path, "outblob"), MAX_QUOTE_BYTES);
      if ((await generation(path)) === before + 1) return quote;
      if (attempt >= ATTEMPTS) throw new Error("others keep writing to the entry");
    } catch (error) {
      if (attempt >= ATTEMPTS || !TRY_AGAIN.has(systemCode(error))) throw error;
    }
    await sleep(PAUSE_MS * attempt);
  }
}

async function generation(path: string): Promise<number> {
  const text = fromUtf8(await readDeviceFile(join(path, "generation"), MAX_ATTRIBUTE_BYTES)) ?? "";
  return Number(text.trim());
}

/** Whether this is a TDX guest whose kernel hands out quotes; looks at the provider of a new or given entry. */
export async function isTdxGuest({
  folder = TSM_FOLDER,
  entry,
  maker = { make: mkdir, remove: rmdir },
}: TdxDriverOptions = {}): Promise<boolean> {
  const path = join(folder, entry ?? `cloister-${randomUUID()}`);
  if (
    !(await stat(folder).then(
      (found) => found.isDirectory(),
      () => false,
    ))
  )
    return false;
  const provider = async (): Promise<string | undefined> =>
    fromUtf8(await readDeviceFile(join(path, "provider"), MAX_ATTRIBUTE_BYTES))?.trim();
  try {
    if (entry !== undefined) return (await provider()) === PROVIDER;
    await maker.make(path);
    try {
      return (await provider()) === PROVIDER;
    } finally {
      await maker.remove(path);
    }
  } catch {
    return false;
  }
}
