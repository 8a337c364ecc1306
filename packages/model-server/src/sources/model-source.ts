import type { ModelFiles } from "@cloister/saved-model";

/** Where versions of models come from. A place names one version for its source, as a path or URL. */
export interface ModelSource {
  /** The versions below a base path, each with its place. `undefined` where the base path cannot be read. */
  listVersions(basePath: string): Promise<ReadonlyMap<bigint, string> | undefined>;
  /** All files of a version, by path within it. */
  readVersion(place: string): Promise<ModelFiles>;
  /** One file beside the versions, for example a bundle's manifest. */
  readFile(place: string): Promise<Uint8Array>;
}

const MAX_INT64 = 2n ** 63n - 1n;

/** The version that a folder's name stands for: a whole number, leading zeros allowed. */
export function versionOf(name: string): bigint | undefined {
  return /^\d{1,19}$/.test(name) && BigInt(name) <= MAX_INT64 ? BigInt(name) : undefined;
}

/** A place for logs and metrics: the query of a pre-signed URL is a key. */
export function withoutQuery(place: string): string {
  return place.includes("://") ? (place.split(/[?#]/, 1)[0] ?? "") : place;
}
