import type { StoredSet } from "@cloister/attestation/collateral-folder";
import type { NodeFacts } from "./kubernetes-facts.ts";

/**
 * What a machine is to do. Simulated: run everything here without a TEE; verifier: appraise evidence of others;
 * kubernetes-node: run pods.
 */
export const PURPOSES = ["simulated", "sgx", "tdx", "verifier", "kubernetes-node"] as const;
export type Purpose = (typeof PURPOSES)[number];

export interface DeviceFact {
  readonly path: string;
  readonly exists: boolean;
  /** This user may open it for reading and writing. */
  readonly usable: boolean;
}

export interface NginxFact {
  /** "1.24.0". */
  readonly version: string;
  readonly stream: "built-in" | "dynamic" | "none";
}

/** A collateral service that was asked. */
export interface ServiceFact {
  readonly url: string;
  /** Code of the refusal, null where it answered. */
  readonly code: string | null;
  readonly message?: string;
  readonly ms: number;
  /** The service's clock. */
  readonly date?: Date;
}

/** What an appraisal of evidence of this machine said. */
export interface TcbFact {
  readonly status: string | null;
  readonly advisoryIds: readonly string[];
  readonly tcbDate?: Date;
  readonly simulated: boolean;
  /** Where it was refused. */
  readonly code: string | null;
  readonly remedy?: string;
}

/** What encrypts the nodes of sealed files. */
export interface CipherFact {
  /** `null` where none can be used. */
  readonly name: "openssl" | "node:crypto" | null;
  /** Why it is not OpenSSL's own interface. */
  readonly reason?: string;
}

/** Everything that the checks look at, gathered once. */
export interface HostFacts {
  readonly now: Date;
  /** "v24.1.0". */
  readonly nodeVersion: string;
  readonly cipher: CipherFact;
  /** "linux". */
  readonly platform: string;
  /** "x64". */
  readonly architecture: string;
  /** "6.8.0-31-generic". */
  readonly kernelRelease: string;
  /** Options of the running kernel, where it tells: CONFIG_X86_SGX to "y". */
  readonly kernelConfig?: ReadonlyMap<string, string>;
  readonly cpuFlags: ReadonlySet<string>;
  readonly devices: readonly DeviceFact[];
  readonly aesmSocket: "absent" | "refused" | "listening";
  /** The kernel's interface for TDX quotes (configfs-tsm) is there. */
  readonly tsmReports: boolean;
  readonly nginx?: NginxFact;
  readonly services: readonly ServiceFact[];
  readonly collateral: readonly StoredSet[];
  readonly tcb?: TcbFact;
  /** Where it was asked for. */
  readonly node?: NodeFacts;
}
