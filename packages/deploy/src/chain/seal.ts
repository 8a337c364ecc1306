import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeBundleManifest, sealBundle } from "@cloister/protected-files";
import { nodeCipher, writeTreeAtomically } from "@cloister/protected-files/rim";
import type { StepResult } from "./events.ts";
import type { WorkFolders } from "./folders.ts";
import type { OwnedModel } from "./model.ts";
import type { Owner } from "./owner.ts";

/** Every run seals once; what an attacker puts back comes from the generation before. */
const GENERATION = 1;

/** A sealed model version: ciphertext for the host, manifest for the broker. */
export interface SealedModel {
  readonly folder: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Encoded signed bundle manifest. */
  readonly manifest: Uint8Array;
  readonly generation: number;
}

export interface SealOptions {
  readonly model: OwnedModel;
  readonly owner: Owner;
  readonly folders: WorkFolders;
}

/** Seals every file under the model's wrap key, writes the ciphertext to the host's folder and the manifest to the owner's. */
export async function sealStep({ model, owner, folders }: SealOptions): Promise<StepResult<SealedModel>> {
  const { sealed, manifest } = sealBundle({
    files: model.files,
    model: { name: model.name, version: model.version },
    generation: GENERATION,
    wrapKey: owner.wrapKey,
    signingKey: owner.bundleKey.privateKey,
    cipher: await nodeCipher(),
  });
  const folder = join(folders.host, "models", model.name, String(model.version));
  await mkdir(folder, { recursive: true });
  await writeTreeAtomically(folder, sealed, { replace: true });
  const encoded = encodeBundleManifest(manifest);
  await writeFile(join(folders.owner, "bundle-manifest.json"), encoded);
  const result: SealedModel = { folder, files: sealed, manifest: encoded, generation: GENERATION };
  const bytes = [...sealed.values()].reduce((sum, file) => sum + file.length, 0);
  return { result, facts: [`${sealed.size} protected files, ${bytes} bytes, generation ${GENERATION}`, folder] };
}
