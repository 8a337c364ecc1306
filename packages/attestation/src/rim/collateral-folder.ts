import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Collateral } from "../collateral/collateral.ts";
import type { UpdateType } from "../collateral/collateral-request.ts";
import { AttestationError, type AttestationErrorCode } from "../errors.ts";
import { collateralItems, collateralPlatform } from "../inspect/index.ts";
import type { QuotedPlatform } from "../collateral/quoted-platform.ts";
import type { TrustAnchor } from "../appraisal/trust-anchor.ts";
import { verifyCollateral, type CollateralItem } from "../collateral/verify-collateral.ts";
import { collateralFileName, listSets, readSet, writeSet } from "./collateral-files.ts";

/** A stored set and what verification says about it. */
export interface StoredSet {
  readonly path: string;
  /** Absent where the set cannot be read. */
  readonly platform?: QuotedPlatform;
  readonly update: UpdateType;
  /** As written, verified only where `code` is null. */
  readonly items: readonly CollateralItem[];
  /** Why it is refused; null where it verifies. */
  readonly code: AttestationErrorCode | null;
  readonly collateral?: Collateral;
}

/**
 * Every set of a folder, or the one of a file, with the verdict under these anchors at this time.
 * Rejects with `AttestationError` COLLATERAL_NOT_FOUND only where the path itself cannot be read.
 */
export async function readSets(path: string, anchors: readonly TrustAnchor[], time: Date): Promise<StoredSet[]> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) return [examine(path, await readSet(path), "standard", anchors, time)];
  const sets: StoredSet[] = [];
  for (const { platform, update } of await listSets(path)) {
    const file = join(path, collateralFileName(platform, update));
    try {
      sets.push(examine(file, await readSet(file), update, anchors, time));
    } catch (error) {
      sets.push({ path: file, platform, update, items: [], code: codeOf(error) });
    }
  }
  return sets;
}

/** Copies the sets that verify from a folder or file to a folder. Returns every set, those that were refused too. */
export async function copySets(
  from: string,
  folder: string,
  anchors: readonly TrustAnchor[],
  time: Date,
): Promise<StoredSet[]> {
  const sets = await readSets(from, anchors, time);
  for (const { collateral, platform, update, code } of sets) {
    if (code === null && collateral !== undefined && platform !== undefined) {
      await writeSet(folder, { platform, update }, collateral);
    }
  }
  return sets;
}

function examine(
  path: string,
  collateral: Collateral,
  update: UpdateType,
  anchors: readonly TrustAnchor[],
  time: Date,
): StoredSet {
  const platform = collateralPlatform(collateral);
  const known = { path, platform, update, items: collateralItems(collateral), collateral };
  try {
    verifyCollateral(collateral, platform, anchors, time);
    return { ...known, code: null };
  } catch (error) {
    return { ...known, code: codeOf(error) };
  }
}

function codeOf(error: unknown): AttestationErrorCode {
  if (error instanceof AttestationError) return error.code;
  throw error;
}
