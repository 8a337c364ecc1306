import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeCollateral } from "@cloister/attestation";
import {
  createSimulatedPlatform,
  restoreSimulatedPlatform,
  type SimulatedPlatform,
} from "@cloister/attestation/simulated";
import { Secret } from "@cloister/encoding";
import { encodePem } from "@cloister/encoding/pem";
import { EnclaveError } from "../errors.ts";

/** Files of a SIMULATED platform. The first is the key of the pretended hardware; the others are for verifiers. */
export const SIMULATED_FILES = { state: "platform.json", anchor: "anchor.pem", collateral: "collateral.json" } as const;

const COLLATERAL_DAYS = 365;

/**
 * Makes a SIMULATED platform and writes it into a folder, so that replicas in several processes run on the same pretended
 * hardware: its state (mode 0600), its trust anchor and collateral of a year. Throws `SIMULATED_PLATFORM_INVALID` where the
 * folder holds one already.
 */
export async function makeSimulatedPlatform(folder: string, now: Date): Promise<SimulatedPlatform> {
  const platform = createSimulatedPlatform({ now });
  await mkdir(folder, { recursive: true });
  const state = platform.save();
  try {
    await writeFile(join(folder, SIMULATED_FILES.state), state.reveal(), { mode: 0o600, flag: "wx" });
  } catch (cause) {
    throw invalid("there is one already, or the folder cannot be written to", "choose a new folder", cause);
  } finally {
    state.wipe();
  }
  const anchor = encodePem("CERTIFICATE", platform.trustAnchor.certificate);
  await writeFile(join(folder, SIMULATED_FILES.anchor), anchor);
  const collateral = encodeCollateral(platform.collateral({ validityDays: COLLATERAL_DAYS }));
  await writeFile(join(folder, SIMULATED_FILES.collateral), collateral);
  return platform;
}

/** The platform whose state is in a file. Throws `SIMULATED_PLATFORM_INVALID`. */
export async function openSimulatedPlatform(path: string): Promise<SimulatedPlatform> {
  try {
    return restoreSimulatedPlatform(new Secret(new Uint8Array(await readFile(path)), "simulated platform"));
  } catch (cause) {
    throw invalid("its file is not there or is not one", "make one: cloister enclave simulate", cause);
  }
}

function invalid(why: string, remedy: string, cause: unknown): EnclaveError {
  return new EnclaveError(
    "SIMULATED_PLATFORM_INVALID",
    { what: "there is no such SIMULATED platform", why, remedy },
    { cause },
  );
}
