import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Writable } from "node:stream";

/** A file of an image: from the disk, or its content. */
export interface ImageFile {
  /** Absolute path in the image. */
  readonly path: string;
  readonly source: string | Buffer;
  readonly mode?: number;
}

/** A symbolic link. */
export interface ImageLink {
  readonly path: string;
  readonly target: string;
}

export interface ImageOptions {
  readonly repository: string;
  /** Names the image by a tag in place of its digest. */
  readonly tag?: string;
  readonly files: readonly (ImageFile | ImageLink)[];
  readonly config: {
    readonly Entrypoint?: readonly string[];
    readonly Env?: readonly string[];
    readonly User?: string;
  };
}

const BLOCK = 512;
const LAYOUT = '{"imageLayoutVersion":"1.0.0"}';

/**
 * Writes an image as an OCI layout in a tar file, with one layer, and gives its reference by digest. The same files give the same
 * bytes: no times, sorted paths.
 */
export async function writeImage(output: string, options: ImageOptions): Promise<string> {
  const layerPath = `${output}.layer`;
  const layer = await writeLayer(layerPath, options.files);
  const config = json({
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: options.config,
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: descriptor("application/vnd.oci.image.config.v1+json", config),
    layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest: layer.digest, size: layer.size }],
  });
  const target = descriptor("application/vnd.oci.image.manifest.v1+json", manifest);
  const { repository, tag } = options;
  const reference = tag === undefined ? `${repository}@${target.digest}` : `${repository}:${tag}`;
  const index = json({
    schemaVersion: 2,
    manifests: [{ ...target, annotations: { "io.containerd.image.name": reference } }],
  });
  const out = createWriteStream(output);
  await writeEntry(out, "oci-layout", Buffer.from(LAYOUT), 0o644);
  await writeEntry(out, "index.json", index, 0o644);
  for (const blob of [config, manifest]) await writeEntry(out, `blobs/sha256/${sha256(blob)}`, blob, 0o644);
  await writeEntry(out, `blobs/sha256/${layer.digest.slice("sha256:".length)}`, layerPath, 0o644);
  await finish(out);
  await rm(layerPath);
  return reference;
}

async function writeLayer(path: string, files: ImageOptions["files"]): Promise<{ digest: string; size: number }> {
  const out = createWriteStream(path);
  const folders = new Set<string>();
  for (const file of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const parts = file.path.slice(1).split("/");
    for (let depth = 1; depth < parts.length; depth++) {
      const folder = `${parts.slice(0, depth).join("/")}/`;
      if (folders.has(folder)) continue;
      folders.add(folder);
      await write(out, header(folder, 0, 0o755, "5"));
    }
    if ("target" in file) {
      await write(out, header(parts.join("/"), 0, 0o777, "2", file.target));
      continue;
    }
    const mode = file.mode ?? (typeof file.source === "string" ? statSync(file.source).mode & 0o755 : 0o644);
    await writeEntry(out, parts.join("/"), file.source, mode);
  }
  await finish(out);
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return { digest: `sha256:${hash.digest("hex")}`, size: statSync(path).size };
}

async function writeEntry(out: Writable, path: string, source: string | Buffer, mode: number): Promise<void> {
  const size = typeof source === "string" ? statSync(source).size : source.length;
  await write(out, header(path, size, mode, "0"));
  if (typeof source !== "string") await write(out, source);
  else for await (const chunk of createReadStream(source)) await write(out, chunk as Buffer);
  await write(out, Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK));
}

/** A header of the ustar format; a path of more than 100 bytes is split at a slash. */
function header(path: string, size: number, mode: number, type: string, target = ""): Buffer {
  const block = Buffer.alloc(BLOCK);
  const [prefix, name] = splitPath(path);
  block.write(name, 0, 100);
  block.write(`${mode.toString(8).padStart(7, "0")}\0`, 100);
  block.write("0000000\0", 108);
  block.write("0000000\0", 116);
  block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  block.write("00000000000\0", 136);
  block.write("        ", 148);
  block.write(type, 156);
  block.write(target, 157, 100);
  block.write("ustar\u000000", 257);
  block.write(prefix, 345, 155);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function splitPath(path: string): [string, string] {
  if (Buffer.byteLength(path) <= 100) return ["", path];
  for (let at = path.indexOf("/"); at !== -1; at = path.indexOf("/", at + 1)) {
    const name = path.slice(at + 1);
    if (Buffer.byteLength(name) <= 100 && at <= 155 && name !== "") return [path.slice(0, at), name];
  }
  throw new Error(`the path ${path} is too long for a tar file`);
}

async function write(out: Writable, bytes: Buffer): Promise<void> {
  if (!out.write(bytes)) await once(out, "drain");
}

async function finish(out: Writable): Promise<void> {
  await write(out, Buffer.alloc(2 * BLOCK));
  out.end();
  await once(out, "close");
}

const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
const descriptor = (mediaType: string, bytes: Buffer) => ({
  mediaType,
  digest: `sha256:${sha256(bytes)}`,
  size: bytes.length,
});
