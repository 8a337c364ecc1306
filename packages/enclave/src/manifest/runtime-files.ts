import { createHash, hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readFile, readdir, realpath, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { EnclaveError } from "../errors.ts";

/** Manifest key of the Node.js executable, which lies outside the installation root. */
export const NODE_EXECUTABLE = "node:executable";

const PROGRAM_FILE = /\.(?:ts|js|mjs|cjs|json|node|so(?:\.\d+)*)$/;
const LEFT_OUT_FILE = /\.(?:test|d)\.[cm]?ts$|\.map$/;
/** Folders of our own packages that no program loads from. Of other packages every program file counts. */
const LEFT_OUT_FOLDER = new Set(["node_modules", "vectors", "test-models", "proto", "dist", "testing"]);
const FILES_AT_ONCE = 16;
const CHUNK_BYTES = 1 << 20;

/** Where a replica's program is installed. `packages/` and `node_modules/` lie below `root`. */
export interface Installation {
  readonly root: string;
  readonly nodeExecutable: string;
}

/** The program of a replica as `listTrustedFiles` says, each file with its SHA-256 in hex, and with that of Node.js. */
export async function collectTrustedFiles(
  installation: Installation,
  entryPackage: string,
): Promise<Record<string, string>> {
  const { root, nodeExecutable } = installation;
  const program = (await listTrustedFiles(root, entryPackage)).map((path) => [path, join(root, path)] as const);
  const files = new Map([[NODE_EXECUTABLE, nodeExecutable], ...program]);
  const sorted = [...files].sort(([a], [b]) => (a < b ? -1 : 1));
  const digests = await inBatches(sorted, ([, file]) => sha256File(file));
  return Object.fromEntries(sorted.map(([name], index) => [name, digests[index] ?? ""]));
}

/**
 * Every file that the package `entryPackage` and its dependencies can load, by path below the root (POSIX separators). Tests, vectors
 * and binaries of other platforms are left out. `ownPackages`: where our packages lie, where they are not in `node_modules`.
 */
export async function listTrustedFiles(
  root: string,
  entryPackage: string,
  ownPackages = "packages",
): Promise<string[]> {
  const paths = new Set<string>();
  for (const [name, folder] of await packageClosure(root, entryPackage, ownPackages)) {
    for (const file of await listProgramFiles(join(root, folder), isOwn(name))) {
      paths.add(relative(root, file).split(sep).join("/"));
    }
  }
  return [...paths];
}

/**
 * Checks the files on disk against the manifest's digests, as a library OS does when it loads them. Throws
 * `TRUSTED_FILE_MISSING` or `TRUSTED_FILE_CHANGED` naming the first file that differs.
 */
export async function checkTrustedFiles(
  installation: Installation,
  trustedFiles: Readonly<Record<string, string>>,
): Promise<void> {
  await inBatches(Object.entries(trustedFiles), async ([name, expected]) => {
    const path = name === NODE_EXECUTABLE ? installation.nodeExecutable : join(installation.root, name);
    const actual = await sha256File(path).catch((cause: unknown) => {
      throw trustedFileError("TRUSTED_FILE_MISSING", name, "it cannot be read", cause);
    });
    if (actual !== expected)
      throw trustedFileError("TRUSTED_FILE_CHANGED", name, "its SHA-256 is not the measured one");
  });
}

/**
 * The first file of a replica inside a hardware TEE, below the root. Throws `INSTALLATION_NOT_BUILT` where the packages are the
 * development's sources.
 */
export async function entryFile({ root }: Pick<Installation, "root">): Promise<string> {
  const entry = "node_modules/@cloister/enclave/src/replica/in-tee.js";
  const isBuilt = await lstat(join(root, "node_modules/@cloister/enclave")).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (isBuilt && (await isThere(join(root, entry)))) return entry;
  throw new EnclaveError("INSTALLATION_NOT_BUILT", {
    what: "there is no manifest for this installation",
    why: "Gramine does not show links, and Node.js takes no TypeScript from node_modules",
    remedy:
      "lay the built packages out (npm run build, enclave image stage --built), and name their folder with --installation",
  });
}

const isOwn = (name: string): boolean => name.startsWith("@cloister/");

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

async function packageClosure(root: string, entryPackage: string, ownPackages: string): Promise<Map<string, string>> {
  const folders = new Map<string, string>();
  const queue = [entryPackage];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (folders.has(name)) continue;
    const folder = await packageFolder(root, name, ownPackages);
    folders.set(name, folder);
    const description = JSON.parse(await readFile(join(root, folder, "package.json"), "utf8")) as {
      dependencies?: Record<string, string>;
      optionalDependencies?: Record<string, string>;
    };
    queue.push(...Object.keys(description.dependencies ?? {}));
    queue.push(...(await installedOnes(root, Object.keys(description.optionalDependencies ?? {}), ownPackages)));
  }
  return folders;
}

/** Native parts come as optional dependencies, one for each platform; only this platform's are installed. */
async function installedOnes(root: string, names: readonly string[], ownPackages: string): Promise<string[]> {
  const found = await Promise.allSettled(names.map((name) => packageFolder(root, name, ownPackages)));
  return names.filter((_, index) => found[index]?.status === "fulfilled");
}

/** Our packages lie in `packages/` during development and in `node_modules/` once installed. */
async function packageFolder(root: string, name: string, ownPackages: string): Promise<string> {
  const source = join(ownPackages, name.slice("@cloister/".length));
  const folder = isOwn(name) && (await isThere(join(root, source))) ? source : join("node_modules", name);
  await stat(join(root, folder, "package.json"));
  return folder;
}

async function listProgramFiles(folder: string, isOurs: boolean): Promise<string[]> {
  const base = await realpath(folder);
  const found: string[] = [];
  for (const entry of await readdir(base, { withFileTypes: true, recursive: true })) {
    const inside = relative(base, entry.parentPath);
    if (!entry.isFile() || (isOurs && inside.split(sep).some((part) => LEFT_OUT_FOLDER.has(part)))) continue;
    if (!PROGRAM_FILE.test(entry.name) || LEFT_OUT_FILE.test(entry.name) || isForeignBinary(inside)) continue;
    found.push(join(folder, inside, entry.name));
  }
  return found;
}

/** Whether this Node.js is linked against musl; its report names the version of glibc otherwise. */
const USES_MUSL = process.platform === "linux" && !("glibcVersionRuntime" in reportHeader());

function reportHeader(): object {
  const { header } = process.report.getReport() as { readonly header: object };
  return header;
}

/**
 * onnxruntime-node carries `bin/napi-vN/<platform>/<arch>/`, koffi `linux_<arch>/` for glibc beside `musl_<arch>/`; only what is for this
 * machine can be loaded here.
 */
function isForeignBinary(inside: string): boolean {
  const [, libc] = /(?:^|[\\/])(musl|linux)_[a-z0-9]+$/.exec(inside) ?? [];
  if (libc !== undefined) return (libc === "musl") !== USES_MUSL;
  const match = /(?:^|\/)napi-v\d+\/([^/]+)\/([^/]+)/.exec(inside.split(sep).join("/"));
  return match !== null && (match[1] !== process.platform || match[2] !== process.arch);
}

/** Digests by what the file system says of a file; nobody changes a file without changing that, short of forging clocks. */
const remembered = new Map<string, string>();

/** SHA-256 of a file in hex. Files that did not change since the last look, by inode, size and times, are not read again. */
export async function sha256File(path: string): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  const identity = [dev, ino, size, mtimeNs, ctimeNs].join(":");
  const known = remembered.get(identity);
  if (known !== undefined) return known;
  const digest = size <= CHUNK_BYTES ? hash("sha256", await readFile(path)) : await streamedSha256(path);
  remembered.set(identity, digest);
  return digest;
}

/** For the few large files. A stream makes a buffer of a whole chunk for each of the thousand small ones. */
async function streamedSha256(path: string): Promise<string> {
  const sha256 = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) sha256.update(chunk as Buffer);
  return sha256.digest("hex");
}

/** Like `Promise.all` over `map`, with a bounded number in progress. Keeps the order; the first failure ends it. */
async function inBatches<T, R>(items: readonly T[], map: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += FILES_AT_ONCE) {
    results.push(...(await Promise.all(items.slice(start, start + FILES_AT_ONCE).map(map))));
  }
  return results;
}

function trustedFileError(
  code: "TRUSTED_FILE_MISSING" | "TRUSTED_FILE_CHANGED",
  name: string,
  why: string,
  cause?: unknown,
): EnclaveError {
  return new EnclaveError(
    code,
    {
      what: `the simulated platform did not start the replica: ${name}`,
      why,
      remedy: "restore the file, or measure the program again and let the owner decide about the new measurement",
    },
    { cause },
  );
}
