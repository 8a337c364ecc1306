import { join } from "node:path";
import {
  type EnclaveManifest,
  type HostOptions,
  type Installation,
  type LaunchOptions,
  launchSimulated,
  type RunningReplica,
} from "@cloister/enclave";
import type { SimulatedPlatform } from "@cloister/attestation/simulated";

export interface ReplicaLauncherOptions {
  readonly platform: SimulatedPlatform;
  readonly installation: Installation;
  readonly manifest: EnclaveManifest;
  readonly brokerAddress: { readonly host: string; readonly port: number };
  /** Folder with the sealed files of the model version. */
  readonly sealedDir: string;
  /** Collateral that replicas hand to requesters. */
  readonly collateralFile?: string;
  /** Where replicas' logs go. */
  readonly logDir: string;
  readonly onPhase: (replicaId: string, name: string, ms: number) => void;
}

/** What an attack changes about an otherwise honest start. */
export interface LaunchOverrides {
  readonly platform?: Pick<SimulatedPlatform, "quote">;
  readonly installation?: Installation;
  readonly manifest?: EnclaveManifest;
  readonly sealedDir?: string;
  readonly debug?: boolean;
  /** Added to what the host tells the replica. */
  readonly hostOptions?: Readonly<Record<string, unknown>>;
}

export type ReplicaLauncher = (replicaId: string, overrides?: LaunchOverrides) => Promise<RunningReplica>;

/** Starts replicas of one enclave in SIMULATED TEEs on this machine. */
export function replicaLauncher(options: ReplicaLauncherOptions): ReplicaLauncher {
  return (replicaId, overrides = {}) => {
    const hostOptions: HostOptions = {
      replicaId,
      brokerAddresses: [options.brokerAddress],
      sealedDir: overrides.sealedDir ?? options.sealedDir,
      ...(options.collateralFile !== undefined && { collateralFile: options.collateralFile }),
      listen: { host: "127.0.0.1", port: 0 },
    };
    const launch: LaunchOptions = {
      platform: overrides.platform ?? options.platform,
      installation: overrides.installation ?? options.installation,
      manifest: overrides.manifest ?? options.manifest,
      hostOptions: { ...hostOptions, ...overrides.hostOptions },
      debug: overrides.debug ?? false,
      logFile: join(options.logDir, `${replicaId}.log`),
      onPhase: (name, ms) => options.onPhase(replicaId, name, ms),
    };
    return launchSimulated(launch);
  };
}
