import { callError } from "../errors.ts";
import { archiveSource, isArchive } from "./archive.ts";
import { directorySource } from "./directory.ts";
import type { ModelSource } from "./model-source.ts";
import { objectStoreSource, type ObjectStoreOptions } from "./object-store.ts";

export interface AnySourceOptions extends ObjectStoreOptions {
  /** Take models from stores in plaintext, which whoever sits between can read and change. Default false. */
  readonly allowsHttp?: boolean;
}

/**
 * Folders and URLs: what a base path begins with decides. Throws INVALID_ARGUMENT for schemes that nothing reads, and
 * FAILED_PRECONDITION for plaintext that was not asked for.
 */
export function anySource(options: AnySourceOptions = {}): ModelSource {
  const store = objectStoreSource(options);
  const sourceOf = (place: string): ModelSource => {
    const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(place)?.[1];
    if (scheme === undefined) return directorySource;
    if (!["s3", "gs", "https", "http"].includes(scheme)) {
      throw callError(
        "INVALID_ARGUMENT",
        `base paths of the scheme ${scheme} cannot be read; s3, gs, https and http can`,
      );
    }
    const isPlaintext = scheme === "http" || (scheme === "s3" && options.endpoint?.startsWith("http:") === true);
    if (isPlaintext && options.allowsHttp !== true) {
      throw callError("FAILED_PRECONDITION", "models are not read over http: who sits between could change them");
    }
    return isArchive(place) ? archiveSource : store;
  };
  return {
    listVersions: async (basePath) => sourceOf(basePath).listVersions(basePath),
    readVersion: async (place) => sourceOf(place).readVersion(place),
    readFile: async (place) => sourceOf(place).readFile(place),
  };
}
