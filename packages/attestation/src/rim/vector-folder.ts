import { lstatSync, readFileSync, realpathSync } from "node:fs";
import { join, sep } from "node:path";
import type { JsonValue } from "@cloister/encoding/canonical-json";
import {
  parseVectorIndex,
  runVector,
  vectorInputs,
  type VectorInputs,
  type VectorOutcome,
} from "../vectors/vectors.ts";
import { PatchError, type ReadRole } from "../vectors/patch.ts";

export type { VectorInputs, VectorOutcome } from "../vectors/vectors.ts";

const MAX_FILE_BYTES = 1 << 26;

/**
 * Runs every case of a folder in the format of the DCAP vectors (`index.json` and the files it names), one after the other.
 * Throws where the folder or its index cannot be read; what a case holds never makes it throw.
 */
export function* runVectorFolder(folder: string): Generator<VectorOutcome> {
  const { cases, readRole } = openFolder(folder);
  for (const vector of cases) yield runVector(vector, readRole);
}

/** The inputs of every case in the order of `runVectorFolder`, for another verifier; `undefined` where a case has none that can be read. */
export function* readVectorFolder(folder: string): Generator<VectorInputs | undefined> {
  const { cases, readRole } = openFolder(folder);
  for (const vector of cases) {
    try {
      yield vectorInputs(vector, readRole);
    } catch {
      yield undefined;
    }
  }
}

function openFolder(folder: string): { readonly cases: readonly JsonValue[]; readonly readRole: ReadRole } {
  const root = realpathSync(folder);
  const index = parseVectorIndex(readFileSync(join(root, "index.json"), "utf8"));
  const files = new Map<string, Uint8Array>();
  const readRole = (bundle: string, role: string): Uint8Array => {
    const path = index.path(bundle, role);
    // A file that is missing is an empty one: the appraisal refuses it.
    if (path === undefined) return new Uint8Array();
    const bytes = files.get(path) ?? readInside(root, path);
    files.set(path, bytes);
    return bytes;
  };
  return { cases: index.cases, readRole };
}

/** A regular file below the folder, not outside it and not too large. */
function readInside(root: string, path: string): Uint8Array {
  try {
    const real = realpathSync(join(root, path));
    const stat = lstatSync(real);
    if (!real.startsWith(root + sep) || !stat.isFile() || stat.size > MAX_FILE_BYTES)
      throw new PatchError("not inside");
    return new Uint8Array(readFileSync(real));
  } catch (error) {
    throw new PatchError("a file of the vectors cannot be read", { cause: error });
  }
}
