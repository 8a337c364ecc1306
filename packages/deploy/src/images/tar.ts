import { once } from "node:events";
import { createReadStream } from "node:fs";
import type { Writable } from "node:stream";
import { DeployError } from "../errors.ts";

/** One entry of an archive. Owners, times and everything else that differs between two builds are left out. */
export type TarEntry =
  | { readonly kind: "file"; readonly path: string; readonly mode: number; readonly content: TarContent }
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

/** Bytes at hand, or a file whose size is known. */
export type TarContent = Uint8Array | { readonly file: string; readonly sizeBytes: number };

const BLOCK_BYTES = 512;
const MAX_NAME_BYTES = 100;
const MAX_PREFIX_BYTES = 155;
const MAX_SIZE_BYTES = 0o77777777777;

/**
 * Writes entries as a POSIX ustar archive and ends the stream. The same entries give the same bytes. Throws `IMAGE_FILE_INVALID` for a
 * path that the format cannot hold and for a file that changed its size.
 */
export async function writeTar(out: Writable, entries: Iterable<TarEntry>): Promise<void> {
  for (const entry of entries) await writeEntry(out, entry);
  await write(out, new Uint8Array(2 * BLOCK_BYTES));
  out.end();
  await once(out, "finish");
}

async function writeEntry(out: Writable, entry: TarEntry): Promise<void> {
  if (entry.kind === "folder") return write(out, tarHeader(`${entry.path}/`, "5", 0o755, 0));
  if (entry.kind === "link") return write(out, tarHeader(entry.path, "2", 0o777, 0, entry.target));
  const { content } = entry;
  const sizeBytes = content instanceof Uint8Array ? content.length : content.sizeBytes;
  await write(out, tarHeader(entry.path, "0", entry.mode, sizeBytes));
  if (content instanceof Uint8Array) await write(out, content);
  else await copyFile(out, content.file, sizeBytes);
  await write(out, new Uint8Array((BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES));
}

async function copyFile(out: Writable, file: string, sizeBytes: number): Promise<void> {
  let copied = 0;
  for await (const chunk of createReadStream(file) as AsyncIterable<Uint8Array>) {
    copied += chunk.length;
    if (copied > sizeBytes) break;
    await write(out, chunk);
  }
  if (copied !== sizeBytes) throw invalid(`${file} changed its size while it was read`);
}

/** A header of the ustar format (POSIX.1-1988): sizes and modes in octal text, a checksum over the block with blanks in its place. */
function tarHeader(path: string, type: string, mode: number, sizeBytes: number, target = ""): Uint8Array {
  const [prefix, name] = splitPath(path);
  if (sizeBytes > MAX_SIZE_BYTES || Buffer.byteLength(target) > MAX_NAME_BYTES) {
    throw invalid(`${path} is too large, or the target of its link too long`);
  }
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(name, 0, MAX_NAME_BYTES);
  block.write(octal(mode, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(sizeBytes, 11), 124);
  block.write(octal(0, 11), 136);
  block.write(" ".repeat(8), 148);
  block.write(type, 156);
  block.write(target, 157, MAX_NAME_BYTES);
  block.write("ustar\u000000", 257);
  block.write(prefix, 345, MAX_PREFIX_BYTES);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, "0")}\0`;

/** A path of more than 100 bytes is split at a slash; the part before it has a field of its own. */
function splitPath(path: string): readonly [prefix: string, name: string] {
  if (Buffer.byteLength(path) <= MAX_NAME_BYTES) return ["", path];
  for (let at = path.indexOf("/"); at !== -1 && at < path.length - 1; at = path.indexOf("/", at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (Buffer.byteLength(name) <= MAX_NAME_BYTES && Buffer.byteLength(prefix) <= MAX_PREFIX_BYTES)
      return [prefix, name];
  }
  throw invalid(`the path ${path} is too long for the archive`);
}

async function write(out: Writable, bytes: Uint8Array): Promise<void> {
  if (!out.write(bytes)) await once(out, "drain");
}

function invalid(why: string): DeployError {
  return new DeployError("IMAGE_FILE_INVALID", {
    what: "the image was not written",
    why,
    remedy: "give the file a shorter path, or leave it alone while the image is built",
  });
}
