import { join } from "node:path";
import { sealBundle } from "@cloister/protected-files";
import { writeTreeAtomically } from "@cloister/protected-files/rim";
import { type Attack, type AttackContext, launchAndExpectRefusal } from "./context.ts";

/** Attacks on the sealed files: the host owns the disk. The replica refuses what differs from the owner's manifest. */
export const SEALED_FILE_ATTACKS: readonly Attack[] = [
  {
    name: "flipped-byte",
    tried: "one bit of one byte in the middle of a sealed file is flipped",
    by: "replica",
    refusal: "BUNDLE_FILE_CHANGED",
    run: (context) => withFiles(context, "flipped-byte", flipByte(context.sealed.files)),
  },
  {
    name: "swapped-files",
    tried: "a sealed file is put in the place of another one of the same model",
    by: "replica",
    refusal: "BUNDLE_FILE_SWAPPED",
    run: (context) => withFiles(context, "swapped-files", swapFiles(context.sealed.files)),
  },
  {
    name: "older-model",
    tried: "the sealed files of an earlier generation, under the same key, are put back",
    by: "replica",
    refusal: "BUNDLE_FILE_OLDER",
    run: (context) => withFiles(context, "older-model", sealEarlierGeneration(context)),
  },
];

async function withFiles(
  context: AttackContext,
  name: string,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<string | null> {
  const sealedDir = join(context.folder, name);
  await writeTreeAtomically(sealedDir, files);
  return launchAndExpectRefusal(context, `attack-${name}`, { sealedDir });
}

function flipByte(sealed: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  const [path, bytes] = largest(sealed);
  const changed = new Uint8Array(bytes);
  const middle = changed.length >> 1;
  changed[middle] = (changed[middle] ?? 0) ^ 1;
  return new Map(sealed).set(path, changed);
}

function swapFiles(sealed: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  const [first, second] = [...sealed.keys()];
  const swapped = new Map(sealed);
  if (first !== undefined && second !== undefined) {
    swapped.set(first, sealed.get(second) ?? new Uint8Array());
    swapped.set(second, sealed.get(first) ?? new Uint8Array());
  }
  return swapped;
}

/** What the owner sealed before: authentic in every respect, only not what the broker names now. */
function sealEarlierGeneration({ model, owner, sealed }: AttackContext): Map<string, Uint8Array> {
  return sealBundle({
    files: model.files,
    model,
    generation: sealed.generation - 1,
    wrapKey: owner.wrapKey,
    signingKey: owner.bundleKey.privateKey,
  }).sealed;
}

function largest(files: ReadonlyMap<string, Uint8Array>): [string, Uint8Array] {
  return [...files].reduce((best, entry) => (entry[1].length > best[1].length ? entry : best));
}
