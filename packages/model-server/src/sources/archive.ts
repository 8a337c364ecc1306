import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { EncodingError } from "@cloister/encoding";
import { readTar } from "@cloister/encoding/tar";
import type { ModelFiles } from "@cloister/saved-model";
import { callError, type ModelServerError } from "../errors.ts";
import { fetchBytes } from "./fetch-bytes.ts";
import { type ModelSource, versionOf, withoutQuery } from "./model-source.ts";

const MAX_ARCHIVE_BYTES = 2 ** 32;
/** Files, folders and links. */
const MAX_ENTRIES = 20_000;
const GZIP_MAGIC = 0x1f8b;
const ARCHIVE_NAME = /\/([^/]*?)\.(?:tar|tar\.gz|tgz)$/;
const inflate = promisify(gunzip);

/** Whether a URL names one archive, and not a place with a folder for each version. */
export function isArchive(url: string): boolean {
  return /^https?:/.test(url) && ARCHIVE_NAME.test(withoutQuery(url));
}

/**
 * One version of a model as one object: `https://HOST/…/3.tar.gz?…`, which is what a pre-signed URL can give. The number in the
 * archive's name is the version, 1 where it has none. It is read when it is loaded; a new version is a new URL.
 */
export const archiveSource: ModelSource = {
  listVersions: async (url) => new Map([[versionOf(ARCHIVE_NAME.exec(withoutQuery(url))?.[1] ?? "") ?? 1n, url]]),
  readVersion: async (url) => readArchive(await fetchBytes(new URL(url), { maxBytes: MAX_ARCHIVE_BYTES })),
  readFile: () => Promise.reject(callError("UNIMPLEMENTED", "an archive is one version: nothing stands beside it")),
};

/** The files of a version in a tar archive, compressed by gzip or not. A folder that everything is in is left out. */
export async function readArchive(bytes: Uint8Array): Promise<ModelFiles> {
  const isCompressed = bytes.length > 2 && new DataView(bytes.buffer, bytes.byteOffset).getUint16(0) === GZIP_MAGIC;
  const files = filesOf(isCompressed ? await inflated(bytes) : bytes);
  if (files.size === 0) throw malformed("it holds no files");
  const [first = ""] = files.keys();
  const folder = first.slice(0, first.indexOf("/") + 1);
  if (folder === "" || ![...files.keys()].every((path) => path.startsWith(folder))) return files;
  // A folder of the SavedModel itself is never alone: saved_model.pb stands beside it.
  return new Map([...files].map(([path, content]) => [path.slice(folder.length), content]));
}

/** Its regular files. Links and devices are left out; nothing is ever written to a disk. */
function filesOf(archive: Uint8Array): Map<string, Uint8Array> {
  try {
    const entries = [...readTar(archive, { maxEntries: MAX_ENTRIES })];
    return new Map(entries.filter(({ kind }) => kind === "file").map(({ path, content }) => [path, content]));
  } catch (error) {
    throw error instanceof EncodingError ? malformed(error.explanation.why) : error;
  }
}

async function inflated(bytes: Uint8Array): Promise<Uint8Array> {
  try {
    return await inflate(bytes, { maxOutputLength: MAX_ARCHIVE_BYTES });
  } catch {
    throw malformed("it cannot be decompressed");
  }
}

function malformed(why: string): ModelServerError {
  return callError("DATA_LOSS", `the archive cannot be read: ${why}`);
}
