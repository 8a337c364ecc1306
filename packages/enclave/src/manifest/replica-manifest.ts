import type { EnclaveManifest, ReplicaConfig } from "./manifest.ts";
import { collectTrustedFiles, type Installation } from "./runtime-files.ts";

const ENTRYPOINT = "packages/enclave/src/replica/main.ts";

export interface ReplicaManifestOptions {
  readonly installation: Installation;
  readonly config: ReplicaConfig;
  readonly isvProdId?: number;
  readonly isvSvn?: number;
}

/** The manifest of a replica of this program on the SIMULATED platform: every file it can load, and what it is to do. */
export async function replicaManifest(options: ReplicaManifestOptions): Promise<EnclaveManifest> {
  return {
    format: "cloister-enclave/1",
    entrypoint: ENTRYPOINT,
    trustedFiles: await collectTrustedFiles(options.installation, "@cloister/enclave"),
    config: options.config,
    isvProdId: options.isvProdId ?? 0,
    isvSvn: options.isvSvn ?? 0,
  };
}
