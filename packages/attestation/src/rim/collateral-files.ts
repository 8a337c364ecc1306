import { mkdir, open, readdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodeCollateral, encodeCollateral, type Collateral } from "../collateral/collateral.ts";
import type { UpdateType } from "../collateral/collateral-request.ts";
import { AttestationError, refusal } from "../errors.ts";
import type { QuotedPlatform } from "../collateral/quoted-platform.ts";

const MAX_FILE_BYTES = 1 << 23;
const NAME = /^(sgx|tdx)-([0-9a-f]{12})-(platform|processor)-(standard|early)\.json$/;

/** A kind of platform with the update type that its set was fetched for. */
export interface StoredKey {
  readonly platform: QuotedPlatform;
  readonly update: UpdateType;
}

/** Name of a set's file. The cache, exported bundles and the file: service all use it. */
export function collateralFileName({ tee, fmspc, pckCa }: QuotedPlatform, update: UpdateType): string {
  return `${tee}-${fmspc}-${pckCa}-${update}.json`;
}

/**
 * Reads a set from a file: URL of a folder, or of one file. Nothing in it is verified.
 * Rejects with `AttestationError` COLLATERAL_SERVICE_URL_INVALID, COLLATERAL_NOT_FOUND or COLLATERAL_MALFORMED.
 */
export async function readCollateralFile(
  url: string,
  platform: QuotedPlatform,
  update: UpdateType,
): Promise<Collateral> {
  const path = localPath(url);
  const isFolder = (await stat(path).catch(notFound)).isDirectory();
  return await readSet(isFolder ? join(path, collateralFileName(platform, update)) : path);
}

/** Reads one set. Rejects with `AttestationError` COLLATERAL_NOT_FOUND or COLLATERAL_MALFORMED. */
export async function readSet(path: string): Promise<Collateral> {
  const file = await open(path).catch(notFound);
  try {
    const { size } = await file.stat();
    if (size > MAX_FILE_BYTES) throw refusal("COLLATERAL_MALFORMED");
    return decodeCollateral(new Uint8Array(await file.readFile()));
  } catch (error) {
    throw error instanceof AttestationError ? error : refusal("COLLATERAL_NOT_FOUND", error);
  } finally {
    await file.close();
  }
}

/** Writes a set under its name, whole or not at all. Makes the folder. */
export async function writeSet(folder: string, key: StoredKey, collateral: Collateral): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, collateralFileName(key.platform, key.update));
  await writeSetFile(path, collateral);
  return path;
}

async function writeSetFile(path: string, collateral: Collateral): Promise<void> {
  const temporary = `${path}.${process.pid}.new`;
  const file = await open(temporary, "w", 0o644);
  try {
    await file.writeFile(encodeCollateral(collateral));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/** The sets in a folder, by their file names, sorted. A folder that is not there has none. */
export async function listSets(folder: string): Promise<StoredKey[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .toSorted((a, b) => a.localeCompare(b))
    .flatMap((name) => {
      const [, tee, fmspc = "", pckCa, update] = NAME.exec(name) ?? [];
      if (tee === undefined) return [];
      const platform = { tee, fmspc, pckCa } as QuotedPlatform;
      return [{ platform, update: update as UpdateType }];
    });
}

function localPath(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw refusal("COLLATERAL_SERVICE_URL_INVALID", error);
  }
}

function notFound(error: unknown): never {
  throw refusal("COLLATERAL_NOT_FOUND", error);
}
