import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fault } from "../error.ts";
import { type Downloaded, download, type DownloadOptions } from "./download.ts";

/** A model that can be fetched by name. */
export interface ModelSource {
  readonly url: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Published frozen graphs, by the names that the command line uses. */
export const MODEL_SOURCES: Readonly<Record<string, ModelSource>> = {
  "resnet50-v15-fp32": {
    url: "https://storage.googleapis.com/intel-optimized-tensorflow/models/v1_8/resnet50_fp32_pretrained_model.pb",
    inputs: ["input"],
    outputs: ["predict"],
  },
};

export interface FetchedModel extends Downloaded {
  readonly source: ModelSource;
  readonly path: string;
  /** The frozen GraphDef, for `importFrozenGraph`. */
  readonly graphDef: Uint8Array;
}

/**
 * Downloads a known model into `dir` and pins its digest there (`pins.txt`). Throws as `download`; MODEL_NOT_FOUND for a name
 * that is not in `sources`.
 */
export async function fetchModel(
  name: string,
  dir: string,
  options: Omit<DownloadOptions, "url" | "path" | "digest"> & {
    readonly sources?: Readonly<Record<string, ModelSource>>;
  } = {},
): Promise<FetchedModel> {
  const { sources = MODEL_SOURCES, ...rest } = options;
  const source = Object.hasOwn(sources, name) ? sources[name] : undefined;
  if (!source) {
    const known = Object.keys(sources).join(", ");
    throw fault(
      "MODEL_NOT_FOUND",
      `the model ${name} is not known`,
      `known are ${known}`,
      "name one of them, or import a file",
    );
  }
  const path = join(dir, `${name}.pb`);
  const downloaded = await download({ ...rest, url: source.url, path, digest: { pinsPath: join(dir, "pins.txt") } });
  return { ...downloaded, source, path, graphDef: new Uint8Array(await readFile(path)) };
}
