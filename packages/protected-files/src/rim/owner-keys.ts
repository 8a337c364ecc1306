import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Secret } from "@cloister/encoding";
import { isCount, isUsableModel, type ModelVersion } from "../bundle/names.ts";
import { ProtectedFileError } from "../errors.ts";
import { exists, writeFileAtomically } from "./atomic-file.ts";
import { withInput } from "./file-io.ts";
import { generateWrapKey, readKeyFile, writeKeyFile } from "./key-file.ts";

// The owner's folder of keys: one signing key, a wrap key for each version of a model, and the newest generation given to each
// model. Everything secret has mode 0600, the folder 0700.

const SIGNING_KEY = "signing-key.pem";
const PUBLIC_KEY = "owner.pub.pem";
const MAX_GENERATION_CHARS = 17;

/** The Ed25519 key that signs bundles; made, with its public half beside it, where there is none. */
export async function ownerSigningKey(folder: string): Promise<KeyObject> {
  const path = join(folder, SIGNING_KEY);
  if (await exists(path)) return createPrivateKey(await readFile(path));
  await makeFolder(folder);
  const { privateKey } = generateKeyPairSync("ed25519");
  await writeText(path, privateKey.export({ type: "pkcs8", format: "pem" }).toString(), { mode: 0o600 });
  const publicPem = createPublicKey(privateKey).export({ type: "spki", format: "pem" }).toString();
  await writeText(join(folder, PUBLIC_KEY), publicPem, { mode: 0o644, overwrite: true });
  return privateKey;
}

/** A public key in PEM. Rejects with INPUT_MISSING or BUNDLE_KEY_UNSUITABLE. */
export async function readOwnerKey(path: string): Promise<KeyObject> {
  const pem = await withInput(path, (file) => file.readFile("utf8"));
  try {
    return createPublicKey(pem);
  } catch (cause) {
    throw new ProtectedFileError("BUNDLE_KEY_UNSUITABLE", { subject: path, cause });
  }
}

/** Where the public half of the signing key is. */
export function ownerKeyPath(folder: string): string {
  return join(folder, PUBLIC_KEY);
}

/** Where the wrap key of a version of a model is. */
export function wrapKeyPath(folder: string, { name, version }: ModelVersion): string {
  return join(folder, `${name}-${version}.wrap-key`);
}

/** The wrap key of a version of a model; made where there is none. */
export async function ownerWrapKey(folder: string, model: ModelVersion): Promise<Secret> {
  const path = wrapKeyPath(folder, model);
  if (await exists(path)) return (await readKeyFile(path)).wrapKey;
  await makeFolder(folder);
  const wrapKey = generateWrapKey();
  await writeKeyFile(path, wrapKey);
  return wrapKey;
}

/**
 * Takes a generation for a sealing: the one after the newest that was taken for this model, or `wanted` where that is newer.
 * It is recorded before it is used, so that a sealing that fails leaves a gap and never a number to be used twice. Rejects
 * with BUNDLE_MODEL_INVALID, GENERATION_NOT_NEWER or GENERATION_RECORD_MALFORMED.
 */
export async function takeGeneration(folder: string, model: ModelVersion, wanted?: number): Promise<number> {
  if (!isUsableModel(model, wanted ?? 0)) throw new ProtectedFileError("BUNDLE_MODEL_INVALID");
  const path = join(folder, `${model.name}.generation`);
  const newest = await readGeneration(path);
  const generation = wanted ?? newest + 1;
  if (generation <= newest) throw new ProtectedFileError("GENERATION_NOT_NEWER", { subject: String(generation) });
  await makeFolder(folder);
  await writeGeneration(path, generation);
  return generation;
}

/** Records that a version of a model has a bundle of this generation: from now on older ones are out of date. */
export async function recordIssued(folder: string, model: ModelVersion, generation: number): Promise<void> {
  await writeGeneration(issuedPath(folder, model), generation);
}

/** Generation of the newest bundle of a version of a model, 0 where there is none. Rejects with GENERATION_RECORD_MALFORMED. */
export async function newestIssued(folder: string, model: ModelVersion): Promise<number> {
  return readGeneration(issuedPath(folder, model));
}

function issuedPath(folder: string, { name, version }: ModelVersion): string {
  return join(folder, `${name}-${version}.issued`);
}

async function readGeneration(path: string): Promise<number> {
  if (!(await exists(path))) return 0;
  const text = await readFile(path, "utf8");
  const generation = text.length <= MAX_GENERATION_CHARS && /^\d+\n$/.test(text) ? Number(text) : undefined;
  if (!isCount(generation)) throw new ProtectedFileError("GENERATION_RECORD_MALFORMED", { subject: path });
  return generation;
}

async function writeGeneration(path: string, generation: number): Promise<void> {
  await writeText(path, `${generation}\n`, { mode: 0o600, overwrite: true });
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
}

async function writeText(path: string, text: string, options: { mode: number; overwrite?: boolean }): Promise<void> {
  await writeFileAtomically(path, options, (file) => file.writeFile(text));
}
