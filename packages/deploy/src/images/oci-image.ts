import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { utf8 } from "@cloister/encoding";
import { type TarContent, type TarEntry, writeTar } from "./tar.ts";

/** A file, or a link, at an absolute path of the image. */
export type ImageFile =
  | { readonly path: string; readonly source: string | Uint8Array; readonly mode: number }
  | { readonly path: string; readonly target: string };

export interface ImageOptions {
  /** `name:tag`, by which programs that load the image know it. */
  readonly reference: string;
  /** Layers below, as uncompressed tar archives (a root file system), lowest first. */
  readonly baseLayers: readonly string[];
  readonly files: readonly ImageFile[];
  readonly config: ImageConfig;
}

/** What a container is started with (OCI image specification, "config"). */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly command?: readonly string[];
  /** Numeric, so that a cluster can see that it is not root. */
  readonly user: string;
  readonly workingDir: string;
  readonly environment?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
}

export interface WrittenImage {
  readonly reference: string;
  /** Digest of the image's manifest. */
  readonly digest: string;
  readonly sizeBytes: number;
}

interface Blob {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly content: TarContent;
}

const IMAGE = "application/vnd.oci.image";
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/**
 * Writes an image as one tar file that is an OCI layout and a Docker archive at once, so that `docker load`, `ctr images import`,
 * `podman load` and `skopeo` take it. The same files give the same bytes and so the same digest. The file appears whole or not at all.
 */
export async function writeImage(output: string, options: ImageOptions): Promise<WrittenImage> {
  const [part, layerFile] = [`${output}.part`, `${output}.layer`];
  try {
    await pipeTar(layerFile, await layerEntries(options.files));
    const layers = await Promise.all([...options.baseLayers, layerFile].map(fileBlob));
    const image = describeImage(options, layers);
    await pipeTar(part, archiveEntries(image, options.reference, layers));
    await rename(part, output);
    return { reference: options.reference, digest: image.manifest.digest, sizeBytes: (await stat(output)).size };
  } finally {
    await Promise.all([part, layerFile].map((file) => rm(file, { force: true })));
  }
}

function describeImage({ config }: ImageOptions, layers: readonly Blob[]): { config: Blob; manifest: Blob } {
  const configBlob = jsonBlob({
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: "linux",
    config: {
      Entrypoint: config.entrypoint,
      ...(config.command !== undefined && { Cmd: config.command }),
      User: config.user,
      WorkingDir: config.workingDir,
      ...(config.environment !== undefined && { Env: config.environment }),
      ...(config.labels !== undefined && { Labels: config.labels }),
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) },
  });
  const manifest = jsonBlob({
    schemaVersion: 2,
    mediaType: `${IMAGE}.manifest.v1+json`,
    config: descriptor(`${IMAGE}.config.v1+json`, configBlob),
    layers: layers.map((layer) => descriptor(`${IMAGE}.layer.v1.tar`, layer)),
  });
  return { config: configBlob, manifest };
}

function archiveEntries(
  { config, manifest }: { readonly config: Blob; readonly manifest: Blob },
  reference: string,
  layers: readonly Blob[],
): TarEntry[] {
  const index = {
    schemaVersion: 2,
    manifests: [
      {
        ...descriptor(`${IMAGE}.manifest.v1+json`, manifest),
        // The first is how containerd names what it imports, the second is the specification's.
        annotations: {
          "io.containerd.image.name": reference,
          "org.opencontainers.image.ref.name": reference.slice(reference.lastIndexOf(":") + 1),
        },
      },
    ],
  };
  const docker = [{ Config: blobPath(config), RepoTags: [reference], Layers: layers.map(blobPath) }];
  return [
    jsonEntry("oci-layout", { imageLayoutVersion: "1.0.0" }),
    jsonEntry("index.json", index),
    jsonEntry("manifest.json", docker),
    ...[config, manifest, ...layers].map((blob): TarEntry => {
      return { kind: "file", path: blobPath(blob), mode: 0o644, content: blob.content };
    }),
  ];
}

/** The files in the order of their paths, each folder before what it holds. */
async function layerEntries(files: readonly ImageFile[]): Promise<TarEntry[]> {
  const folders = new Set<string>();
  for (const { path } of files) {
    for (let at = path.indexOf("/", 1); at !== -1; at = path.indexOf("/", at + 1)) folders.add(path.slice(1, at));
  }
  const entries = await Promise.all(files.map(fileEntry));
  const all = [...[...folders].map((path): TarEntry => ({ kind: "folder", path })), ...entries];
  return all.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function fileEntry(file: ImageFile): Promise<TarEntry> {
  const path = file.path.slice(1);
  if ("target" in file) return { kind: "link", path, target: file.target };
  const { mode, source } = file;
  const content = source instanceof Uint8Array ? source : { file: source, sizeBytes: (await stat(source)).size };
  return { kind: "file", path, mode, content };
}

async function pipeTar(file: string, entries: readonly TarEntry[]): Promise<void> {
  // Opened before anything can fail: a stream that is still opening its file makes it after its caller has removed it.
  const handle = await open(file, "w", 0o644);
  try {
    await writeTar(handle.createWriteStream(), entries);
  } finally {
    await handle.close();
  }
}

async function fileBlob(file: string): Promise<Blob> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const chunk of createReadStream(file) as AsyncIterable<Uint8Array>) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { digest: `sha256:${hash.digest("hex")}`, sizeBytes, content: { file, sizeBytes } };
}

function jsonBlob(value: object): Blob {
  const content = utf8(JSON.stringify(value));
  const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
  return { digest, sizeBytes: content.length, content };
}

const jsonEntry = (path: string, value: object): TarEntry => {
  return { kind: "file", path, mode: 0o644, content: jsonBlob(value).content };
};
const blobPath = ({ digest }: Blob): string => `blobs/${digest.replace(":", "/")}`;
const descriptor = (mediaType: string, { digest, sizeBytes }: Blob): object => ({ mediaType, digest, size: sizeBytes });
