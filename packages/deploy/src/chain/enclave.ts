import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toHex } from "@cloister/encoding";
import {
  encodeManifest,
  type EnclaveManifest,
  type Installation,
  replicaManifest,
  type RunningReplica,
} from "@cloister/enclave";
import type { WorkFolders } from "./folders.ts";
import type { OwnedModel } from "./model.ts";
import { BROKER_NAME, type Owner } from "./owner.ts";

export interface ManifestParts {
  readonly installation: Installation;
  readonly engineThreads: number;
  readonly model: OwnedModel;
  readonly owner: Owner;
  readonly folders: WorkFolders;
}

/** Fixes what a replica is, and gives the host a copy. Nothing in it is secret. */
export async function writeManifest(parts: ManifestParts): Promise<EnclaveManifest> {
  const { owner, model } = parts;
  const manifest = await replicaManifest({
    installation: parts.installation,
    config: {
      model: { name: model.name, version: model.version },
      broker: {
        serverName: BROKER_NAME,
        caPem: owner.servingAuthority.certificate,
        logKey: owner.logKey.publicKey.export({ type: "spki", format: "der" }).toString("base64"),
      },
      engineThreads: parts.engineThreads,
    },
  });
  await writeFile(join(parts.folders.host, "enclave-manifest.json"), encodeManifest(manifest));
  return manifest;
}

/** What a report says about a running replica. */
export function describeReplica(id: string, { measurement }: RunningReplica) {
  return { id, measurement: toHex(measurement), platform: "SIMULATED" };
}
