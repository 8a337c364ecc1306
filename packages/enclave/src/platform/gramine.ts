import { join } from "node:path";
import { fromUtf8, type Secret } from "@cloister/encoding";
import { EnclaveError } from "../errors.ts";
import { checkQuote, checkReportData, quoteFailed, systemCode } from "./check-quote.ts";
import { readDeviceFile, writeDeviceFile } from "./device-file.ts";
import type { PlatformDriver } from "./driver.ts";
import { Turns } from "./turns.ts";

export const GRAMINE_FOLDER = "/dev/attestation";

/** Gramine's own limit (gramine.md C.2). */
const MAX_QUOTE_BYTES = 8192;
const MAX_TYPE_BYTES = 64;
const KEY_BYTES = 16;
const KEY_NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** Attestation inside Gramine, through its pseudo files below `/dev/attestation`. `folder` is another place, for tests. */
export class GramineDriver implements PlatformDriver {
  readonly name = "gramine";
  readonly simulated = false;
  readonly #folder: string;
  /** The files are one state for the whole process: a quote needs two of them, so quotes are made one at a time. */
  readonly #turns = new Turns();

  constructor(folder = GRAMINE_FOLDER) {
    this.#folder = folder;
  }

  quote(reportData: Uint8Array): Promise<Uint8Array> {
    checkReportData(reportData);
    return this.#turns.take(() => this.#quote(reportData));
  }

  async installKey(name: string, key: Secret): Promise<void> {
    const bytes = key.reveal();
    if (!KEY_NAME.test(name) || bytes.length !== KEY_BYTES) {
      throw keyRefused("a key of a mount has a plain name and 16 bytes");
    }
    await writeDeviceFile(join(this.#folder, "keys", name), bytes).catch((cause: unknown) => {
      throw keyRefused(`Gramine refused it (${systemCode(cause)}); no mount of the manifest may use that name`, cause);
    });
  }

  async #quote(reportData: Uint8Array): Promise<Uint8Array> {
    const quote = await this.#ask(reportData).catch((cause: unknown) => {
      throw quoteFailed(
        `Gramine refused (${systemCode(cause)})`,
        "look at AESM and its quoting plug-ins on the host: cloister doctor --for sgx",
        cause,
      );
    });
    return checkQuote(quote, "sgx", reportData);
  }

  async #ask(reportData: Uint8Array): Promise<Uint8Array> {
    await writeDeviceFile(join(this.#folder, "user_report_data"), reportData);
    return await readDeviceFile(join(this.#folder, "quote"), MAX_QUOTE_BYTES);
  }
}

/** Gramine's attestation type, `dcap` or `none`; undefined outside of Gramine. */
export async function gramineAttestationType(folder = GRAMINE_FOLDER): Promise<string | undefined> {
  const bytes = await readDeviceFile(join(folder, "attestation_type"), MAX_TYPE_BYTES).catch(() => undefined);
  return bytes && fromUtf8(bytes)?.trim();
}

function keyRefused(why: string, cause?: unknown): EnclaveError {
  return new EnclaveError(
    "PLATFORM_KEY_REFUSED",
    {
      what: "an encrypted mount got no key",
      why,
      remedy: "compare the policy's secrets with fs.mounts[].key_name in the manifest",
    },
    { cause },
  );
}
