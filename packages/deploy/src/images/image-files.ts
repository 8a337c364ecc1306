import { execFile } from "node:child_process";
import { realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { entryFile, type Installation, listTrustedFiles } from "@cloister/enclave";
import { utf8 } from "@cloister/encoding";
import { DeployError } from "../errors.ts";
import type { ImageFile } from "./oci-image.ts";
import { IMAGE_PATHS, type ImageRole, ROLES } from "./roles.ts";

const COMMAND_LINE = "@cloister/cli";
/** What the command line itself needs, whichever command runs. */
const COMMAND_LINE_FILES = /^(?:packages\/cli|node_modules\/(?:@cloister\/cli|commander|yaml|zod))\//;
/** Where `npm run build` puts our packages. */
const BUILT = "dist/packages/";
const NATIVE_FILE = /\.node$|\.so(?:\.\d+)*$/;
const PASSWD = "root:x:0:0::/:/sbin/nologin\ncloister:x:65532:65532::/nonexistent:/sbin/nologin\n";
const run = promisify(execFile);

export interface ImageFilesOptions {
  readonly installation: Installation;
  readonly role: ImageRole;
  /** Whether a layer below brings the libraries of the system; without one they are taken from this machine. */
  readonly hasBase: boolean;
  /** Built packages in `node_modules`, without links, in place of the sources: what can run under Gramine. */
  readonly isBuilt?: boolean;
}

/**
 * The files of an image: Node.js, the sources of the role's package and of all it depends on, as `enclave manifest` measures them, and the
 * command line. An allow-list: nothing else of the folder gets in, so no key, model or configuration can. Throws `IMAGE_LIBRARY_MISSING`, `INSTALLATION_NOT_BUILT`.
 */
export async function imageFiles(options: ImageFilesOptions): Promise<ImageFile[]> {
  const { installation, role, hasBase, isBuilt = false } = options;
  const { root, nodeExecutable } = installation;
  const ownPackages = isBuilt ? await builtPackages(root) : "packages";
  const all = await listTrustedFiles(root, COMMAND_LINE, ownPackages);
  const own = new Set(await listTrustedFiles(root, ROLES[role].package, ownPackages));
  const { alone = [] } = ROLES[role];
  const isWanted = (path: string): boolean =>
    own.has(path) || COMMAND_LINE_FILES.test(laidAt(path)) || alone.includes(packageOf(path) ?? "");
  const program = all.filter(isWanted);
  const native = program.filter((path) => NATIVE_FILE.test(path)).map((path) => join(root, path));
  return [
    { path: IMAGE_PATHS.node, source: nodeExecutable, mode: 0o755 },
    ...(hasBase ? [] : [{ path: "/etc/passwd", source: utf8(PASSWD), mode: 0o644 }]),
    ...(hasBase ? [] : await systemLibraries([nodeExecutable, ...native], root)),
    ...program.map((path) => ({
      path: `${IMAGE_PATHS.program}/${laidAt(path)}`,
      source: join(root, path),
      mode: 0o644,
    })),
    ...workspacePackages(program).map((name) => ({
      path: `${IMAGE_PATHS.program}/node_modules/@cloister/${name}`,
      target: `../../packages/${name}`,
    })),
  ];
}

/** Built packages are laid as npm installs them. */
function laidAt(path: string): string {
  return path.startsWith(BUILT) ? `node_modules/@cloister/${path.slice(BUILT.length)}` : path;
}

/** Name of the package of ours that a file belongs to. */
function packageOf(path: string): string | undefined {
  return /^(?:packages|node_modules\/@cloister)\/([^/]+)\//.exec(laidAt(path))?.[1];
}

/** Where the built packages are: installed, or left by `npm run build`. Throws `INSTALLATION_NOT_BUILT`. */
async function builtPackages(root: string): Promise<string> {
  const isLeft = await stat(join(root, BUILT)).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isLeft) await entryFile({ root });
  return BUILT;
}

/** Packages of ours among the files: Node finds them by links, as npm lays them. */
function workspacePackages(program: readonly string[]): string[] {
  const names = program.map((path) => /^packages\/([^/]+)\//.exec(path)?.[1]);
  return [...new Set(names.filter((name) => name !== undefined))].toSorted();
}

/** Libraries of the system that programs load, and the loader, at the paths where they are looked for. */
async function systemLibraries(programs: readonly string[], root: string): Promise<ImageFile[]> {
  const found = new Map<string, ImageFile>();
  for (const program of programs) {
    const { stdout } = await run("ldd", [program]).catch((cause: unknown) => {
      throw missing(`the libraries of ${program} cannot be listed`, cause);
    });
    const lost = /^\s*(\S+) => not found$/m.exec(stdout)?.[1];
    if (lost !== undefined) throw missing(`${program} needs ${lost}, which is not on this machine`);
    for (const [, path = ""] of stdout.matchAll(/(\/\S+) \(0x[0-9a-f]+\)/g)) {
      if (!path.startsWith(root)) found.set(path, { path, source: await realpath(path), mode: 0o755 });
    }
  }
  return [...found.values()];
}

function missing(why: string, cause?: unknown): DeployError {
  return new DeployError(
    "IMAGE_LIBRARY_MISSING",
    { what: "the image was not built", why, remedy: "install the library, or give a base with --base" },
    { cause },
  );
}
