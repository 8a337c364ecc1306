import { chmod, copyFile, mkdir, symlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Installation } from "@cloister/enclave";
import { renderCompose, renderSgxOverride } from "./compose.ts";
import { renderDockerfile, renderDockerignore } from "./dockerfile.ts";
import { GRAMINE_CONTEXT, renderGramineRuntime, renderGramineServing } from "./gramine-dockerfile.ts";
import { imageFiles } from "./image-files.ts";
import { writeImage, type WrittenImage } from "./oci-image.ts";
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

/** Lays the files of an image out in a folder, for builders that copy folders. Times are fixed, so that layers come out equal. */
export async function stageImage(
  folder: string,
  options: Omit<BuildOptions, "reference" | "base"> & { readonly hasBase: boolean },
): Promise<number> {
  const files = await imageFiles(options);
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
  return files.length;
}

/** The files that `enclave image render` writes, by name. */
export function renderImageSources(): ReadonlyMap<string, string> {
  return new Map([
    ...IMAGE_ROLES.map((role) => [`${role}.Dockerfile`, renderDockerfile(role)] as const),
    ["serving-gramine-runtime.Dockerfile", renderGramineRuntime()],
    ["serving-gramine.Dockerfile", renderGramineServing()],
    [".dockerignore", renderDockerignore([...IMAGE_ROLES, GRAMINE_CONTEXT])],
    ["compose.yaml", renderCompose()],
    ["compose.sgx.yaml", renderSgxOverride()],
  ]);
}
