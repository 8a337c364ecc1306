import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { ModelFiles } from "@cloister/saved-model";
import { callError, type ModelServerError } from "../errors.ts";
import { fetchBytes } from "./fetch-bytes.ts";
import { type ModelSource, versionOf, withoutQuery } from "./model-source.ts";

const BLOCK = 512;
const MAX_ARCHIVE_BYTES = 2 ** 32;
const MAX_FILES = 10_000;
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
  const files = readTar(isCompressed ? await inflated(bytes) : bytes);
  if (files.size === 0) throw malformed("it holds no files");
  const [first = ""] = files.keys();
  const folder = first.slice(0, first.indexOf("/") + 1);
  if (folder === "" || ![...files.keys()].every((path) => path.startsWith(folder))) return files;
  // A folder of the SavedModel itself is never alone: saved_model.pb stands beside it.
  return new Map([...files].map(([path, content]) => [path.slice(folder.length), content]));
}

/** Regular files of a POSIX ustar or GNU archive. Links and devices are left out; nothing is ever written to a disk. */
function readTar(bytes: Uint8Array): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  let longName: string | undefined;
  for (let at = 0; at + BLOCK <= bytes.length;) {
    const header = bytes.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) break;
    if (checksum(header) !== octal(header, 148, 8)) throw malformed("a header's checksum is wrong");
    const size = octal(header, 124, 12);
    const start = at + BLOCK;
    if (start + size > bytes.length) throw malformed("it ends within a file");
    const content = bytes.subarray(start, start + size);
    const type = header[156] === 0 ? "0" : String.fromCharCode(header[156] ?? 0);
    if (type === "L") longName = text(content, 0, content.length);
    else if (type === "x") longName = paxPath(content) ?? longName;
    else {
      if (type === "0") files.set(nameOf(header, longName), content);
      longName = undefined;
    }
    if (files.size > MAX_FILES) throw malformed("it holds too many files");
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

function nameOf(header: Uint8Array, longName: string | undefined): string {
  const isUstar = text(header, 257, 5) === "ustar";
  const prefix = isUstar && text(header, 257, 8) !== "ustar  " ? text(header, 345, 155) : "";
  const name = longName ?? (prefix === "" ? text(header, 0, 100) : `${prefix}/${text(header, 0, 100)}`);
  return name.replace(/^(?:\.\/)+/, "");
}

/** The path in a PAX header: records of "LENGTH KEY=VALUE\n". */
function paxPath(content: Uint8Array): string | undefined {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(new TextDecoder().decode(content))?.[1];
}

function checksum(header: Uint8Array): number {
  return header.reduce((sum, byte, index) => sum + (index >= 148 && index < 156 ? 0x20 : byte), 0);
}

function octal(header: Uint8Array, start: number, length: number): number {
  const digits = text(header, start, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw malformed("a number in a header is not octal");
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

function text(bytes: Uint8Array, start: number, length: number): string {
  const field = bytes.subarray(start, start + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end === -1 ? field : field.subarray(0, end));
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
