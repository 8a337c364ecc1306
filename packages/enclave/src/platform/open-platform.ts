import { EnclaveError } from "../errors.ts";
import type { PlatformDriver, PlatformName } from "./driver.ts";
import { GRAMINE_FOLDER, GramineDriver, gramineAttestationType } from "./gramine.ts";
import { isTdxGuest, TdxDriver, type TdxDriverOptions } from "./tdx.ts";

/** The simulated platform is no hardware to be found: it is named or not used. */
export type HardwareName = Exclude<PlatformName, "simulated">;

export interface PlatformPlaces {
  /** Default `/dev/attestation`. */
  readonly gramineFolder?: string;
  readonly tdx?: TdxDriverOptions;
}

/**
 * The driver of the TEE that this process runs in: the one named, or for `auto` the one that is there. Throws
 * `PLATFORM_NOT_FOUND`; it never falls back to a simulation.
 */
export async function openPlatform(name: HardwareName | "auto", places: PlatformPlaces = {}): Promise<PlatformDriver> {
  const { gramineFolder = GRAMINE_FOLDER, tdx } = places;
  if (name !== "tdx") {
    const type = await gramineAttestationType(gramineFolder);
    if (type === "dcap") return new GramineDriver(gramineFolder);
    if (type !== undefined) {
      throw notFound(
        `Gramine runs with attestation "${type.slice(0, 16)}"`,
        'set sgx.remote_attestation = "dcap" in its manifest, and start it with gramine-sgx',
      );
    }
  }
  if (name !== "gramine" && (await isTdxGuest(tdx))) return new TdxDriver(tdx);
  const looked = { auto: "neither Gramine nor a TDX guest", gramine: "no Gramine", tdx: "no TDX guest" }[name];
  throw notFound(
    `there is ${looked} around this process`,
    "start it inside one (cloister doctor tells what is missing), or name the simulated platform",
  );
}

function notFound(why: string, remedy: string): EnclaveError {
  return new EnclaveError("PLATFORM_NOT_FOUND", { what: "the replica did not start", why, remedy });
}
