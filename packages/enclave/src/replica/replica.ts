import { generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { createRaTlsCertificate } from "@cloister/attestation";
import { provision, type Provisioned } from "@cloister/broker/client";
import { buildCsr } from "@cloister/encoding/x509-builder";
import { startModelServer, type ModelServer } from "@cloister/model-server";
import { OnnxEngine } from "@cloister/model-server/engine";
import { openBundle } from "@cloister/protected-files";
import { readTree } from "@cloister/protected-files/rim";
import { EnclaveError } from "../errors.ts";
import type { HostOptions } from "../manifest/host-options.ts";
import type { ReplicaConfig } from "../manifest/manifest.ts";
import type { PlatformDriver } from "../platform/driver.ts";

const generate = promisify(generateKeyPair);
const RA_TLS_VALIDITY_MS = 24 * 60 * 60 * 1000;

export interface ReplicaOptions {
  readonly config: ReplicaConfig;
  readonly hostOptions: HostOptions;
  readonly driver: PlatformDriver;
  readonly onPhase: (name: string, ms: number) => void;
}

export interface Replica {
  readonly address: { readonly host: string; readonly port: number };
  /** Generation of the model bundle that is served. */
  readonly generation: number;
  stop(): Promise<void>;
}

type KeyPair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
