import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { utf8 } from "@cloister/encoding";
import type { HostOptions } from "../manifest/host-options.ts";
import type { ReplicaConfig } from "../manifest/manifest.ts";
import type { Installation } from "../manifest/runtime-files.ts";
import { encodeReplicaSettings } from "../replica/settings.ts";
import type { ManifestBase, TrustedFile } from "./manifest-parts.ts";
import { replicaGramineManifest, SEALED_PATH } from "./replica-gramine-manifest.ts";
import { servingManifest } from "./serving-manifest.ts";
import type { GramineDocument } from "./schema.ts";
import { encodeGramineManifest } from "./text.ts";

/** Name of the application: `gramine-sgx cloister` in the folder starts it. */
const GRAMINE_APPLICATION = "cloister";

interface GramineOutput {
  readonly folder: string;
  readonly base: ManifestBase;
  readonly config: ReplicaConfig;
  readonly brokers: HostOptions["brokerAddresses"];
  readonly listen: HostOptions["listen"];
}

export interface WrittenManifest {
  /** Path of the `.manifest.sgx`. */
  readonly path: string;
  readonly trustedFiles: number;
  readonly enclaveSize: string;
  readonly maxThreads: number;
}

export interface ReplicaOutput extends GramineOutput {
  readonly installation: Installation;
  readonly health: HostOptions["health"];
  readonly waitForBrokerSeconds: number;
}

/**
 * Writes `cloister.manifest.sgx` and `replica.json` for a replica of this program. Sealed files are expected in `sealed` beside them
 * (or the folder is mounted there). Throws as `replicaGramineManifest`.
 */
export async function writeReplicaGramine(output: ReplicaOutput): Promise<WrittenManifest> {
  const { base, config, installation } = output;
  const settings = encodeReplicaSettings({
    format: "cloister-replica/1",
    platform: "gramine",
    config,
    hostOptions: {
      replicaId: "enclave",
      brokerAddresses: output.brokers,
      sealedDir: `${SEALED_PATH}/models/${config.model.name}/${config.model.version}`,
      listen: output.listen,
      health: output.health,
      waitForBrokerSeconds: output.waitForBrokerSeconds,
    },
  });
  const file = await writeMeasured(output.folder, "replica.json", settings);
  const document = await replicaGramineManifest({ ...base, installation, settings: file, sealedUri: "file:sealed" });
  return await writeDocument(output.folder, document);
}

export interface ServingOutput extends GramineOutput {
  readonly binary: string;
  readonly keyName: string;
}

/**
 * Writes `cloister.manifest.sgx` and `ca.pem` for `tensorflow_model_server`. Protected files are expected in `models/NAME` beside
 * them, and the protected `ssl.cfg`, each bound to that very path. Throws as `servingManifest`.
 */
export async function writeServingGramine(output: ServingOutput): Promise<WrittenManifest> {
  const { base, config, binary, keyName } = output;
  const { name } = config.model;
  const document = await servingManifest({
    ...base,
    binary,
    keyName,
    model: name,
    modelUri: `file:models/${name}`,
    sslConfigUri: "file:ssl.cfg",
    ca: await writeMeasured(output.folder, "ca.pem", utf8(config.broker.caPem)),
    brokers: output.brokers.map(({ host, port }) => `${host}:${port}`),
    port: output.listen.port,
    engineThreads: config.engineThreads,
  });
  return await writeDocument(output.folder, document);
}

async function writeMeasured(folder: string, name: string, content: Uint8Array): Promise<TrustedFile> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, name), content);
  return { uri: `file:${name}`, sha256: createHash("sha256").update(content).digest("hex") };
}

async function writeDocument(folder: string, document: GramineDocument): Promise<WrittenManifest> {
  const path = join(folder, `${GRAMINE_APPLICATION}.manifest.sgx`);
  await writeFile(path, encodeGramineManifest(document));
  const {
    trusted_files: trusted = [],
    enclave_size: enclaveSize = "",
    max_threads: maxThreads = 0,
  } = document.sgx ?? {};
  return { path, trustedFiles: trusted.length, enclaveSize, maxThreads };
}
