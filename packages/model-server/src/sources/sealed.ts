import type { KeyObject } from "node:crypto";
import type { Secret } from "@cloister/encoding";
import { decodeBundleManifest, openBundle } from "@cloister/protected-files";
import { nodeCipher } from "@cloister/protected-files/rim";
import { callError } from "../errors.ts";
import { type ModelSource, versionOf, withoutQuery } from "./model-source.ts";

/** What opens a sealed version of a model. */
export interface BundleKeys {
  /** The key of the files; it is wiped after they are opened. */
  readonly wrapKey: Secret;
  readonly ownerKey: KeyObject;
  /** Older bundles are refused. */
  readonly minimumGeneration: number;
}

/**
 * Sealed models as `cloister seal` lays them out: base path `…/models/NAME`, manifests `…/bundles/NAME/VERSION.json`. Files are
 * opened in memory and never written anywhere. `keysOf` gives the keys of a version each time it is loaded. Reading throws
 * `ProtectedFileError` where the bundle is not what its owner signed.
 */
export function sealedSource(
  inner: ModelSource,
  keysOf: (name: string, version: number) => Promise<BundleKeys>,
): ModelSource {
  return {
    listVersions: (basePath) => inner.listVersions(basePath),
    readFile: (place) => inner.readFile(place),
    readVersion: async (place) => {
      const { name, version, manifestPlace } = bundleOf(place);
      const sealed = await inner.readVersion(place);
      const manifest = decodeBundleManifest(await inner.readFile(manifestPlace));
      const cipher = await nodeCipher();
      const { wrapKey, ownerKey, minimumGeneration } = await keysOf(name, version);
      const expect = { name, version, minimumGeneration };
      try {
        return openBundle({ sealed, wrapKey, ownerKey, manifest, expect, cipher }).files;
      } finally {
        wrapKey.wipe();
      }
    },
  };
}

function bundleOf(place: string): { name: string; version: number; manifestPlace: string } {
  const [, root, name = "", folder = ""] = /^(.*)\/models\/([^/]+)\/([^/]+)$/.exec(withoutQuery(place)) ?? [];
  const version = Number(versionOf(folder) ?? Number.NaN);
  if (root === undefined || !Number.isSafeInteger(version)) {
    throw callError(
      "INVALID_ARGUMENT",
      "the base path of a sealed model ends with models/NAME, as cloister seal wrote it",
    );
  }
  return { name, version, manifestPlace: `${root}/bundles/${name}/${version}.json` };
}
