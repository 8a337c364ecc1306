import { chmod, copyFile, mkdir, readdir, symlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Installation } from "@cloister/enclave";
import { renderAesmOverride, renderCompose, renderSgxOverride } from "./compose.ts";
import { renderDockerfile, renderDockerignore } from "./dockerfile.ts";
import {
  GRAMINE_CONTEXTS,
  GRAMINE_ROLES,
  gramineConfig,
  gramineFiles,
  type GramineRole,
  renderAesm,
  renderGramineImage,
  renderGramineRuntime,
} from "./gramine.ts";
import { imageFiles, type ImageFilesOptions } from "./image-files.ts";
import { type ImageFile, writeImage, type WrittenImage } from "./oci-image.ts";
import { configOf, IMAGE_ROLES, type ImageRole } from "./roles.ts";

export interface BuildOptions {
  readonly installation: Installation;
  readonly role: ImageRole;
  readonly reference: string;
  /** Root file systems below, as uncompressed tar archives; without one the libraries of this machine go in. */
  readonly base: readonly string[];
}

/** Writes the image of a role as one archive. Two builds of the same files have the same digest. Throws `IMAGE_*`. */
export async function buildImage(output: string, options: BuildOptions): Promise<WrittenImage> {
  const { installation, role, reference, base } = options;
  const files = await imageFiles({ installation, role, hasBase: base.length > 0 });
  return writeImage(output, { reference, baseLayers: base, files, config: configOf(role) });
}

export interface GramineBuildOptions {
  readonly role: GramineRole;
  readonly reference: string;
  /** Root file system of what the role's first Dockerfile built, as uncompressed tar archives. */
  readonly base: readonly string[];
  /** Where `enclave manifest` and `enclave sign` wrote. */
  readonly enclave: string;
}

/** Writes the image of a server under Gramine: its runtime with the measured files above. Reproducible as `buildImage`. */
export async function buildGramineImage(output: string, options: GramineBuildOptions): Promise<WrittenImage> {
  const { role, reference, base, enclave } = options;
  const files = await gramineFiles(role, enclave);
  return writeImage(output, { reference, baseLayers: base, files, config: gramineConfig(role) });
}

/** Lays the files of an image out in a folder, for builders that copy folders. Gives their number. */
export async function stageImage(folder: string, options: ImageFilesOptions): Promise<number> {
  return stageFiles(folder, await imageFiles(options));
}

/** Likewise what the image of a server under Gramine has above its runtime. */
export async function stageGramineImage(folder: string, role: GramineRole, enclave: string): Promise<number> {
  return stageFiles(folder, await gramineFiles(role, enclave));
}

/** Times are fixed, so that layers come out equal. */
async function stageFiles(folder: string, files: readonly ImageFile[]): Promise<number> {
  for (const file of files) {
    const path = join(folder, file.path);
    await mkdir(dirname(path), { recursive: true });
    if ("target" in file) {
      await symlink(file.target, path);
      continue;
    }
    if (typeof file.source === "string") await copyFile(file.source, path);
    else await writeFile(path, file.source);
    await chmod(path, file.mode);
    await utimes(path, 0, 0);
  }
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isDirectory()) await utimes(join(entry.parentPath, entry.name), 0, 0);
  }
  await utimes(folder, 0, 0);
  return files.length;
}

/** The files that `enclave image render` writes, by name. */
export function renderImageSources(): ReadonlyMap<string, string> {
  return new Map([
    ...IMAGE_ROLES.map((role) => [`${role}.Dockerfile`, renderDockerfile(role)] as const),
    ...GRAMINE_ROLES.flatMap((role) => [
      [`${role}-runtime.Dockerfile`, renderGramineRuntime(role)] as const,
      [`${role}.Dockerfile`, renderGramineImage(role)] as const,
    ]),
    ["aesm.Dockerfile", renderAesm()],
    [".dockerignore", renderDockerignore([...IMAGE_ROLES, ...GRAMINE_CONTEXTS])],
    ["compose.yaml", renderCompose()],
    ["compose.sgx.yaml", renderSgxOverride("serving-gramine")],
    ["compose.sgx-replica.yaml", renderSgxOverride("replica-gramine")],
    ["compose.aesm.yaml", renderAesmOverride()],
  ]);
}
