import { mkdirSync, readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { collectTrustedFiles } from "@cloister/enclave";
import { type ImageFile, type ImageLink, writeImage } from "./image.ts";
import { programPath } from "./layout.ts";
import { run } from "./process.ts";

export const ROOT = join(import.meta.dirname, "../../..");
const PROGRAM_FOLDER = "/opt/cloister";
const NODE_EXECUTABLE = "/usr/local/bin/node";

/**
 * The image of everything that runs in the cluster: Node.js, the libraries that it links, our sources, and what they depend on.
 * It holds the very files that are here, so a manifest that was made here is one of the image. Gives its reference.
 */
export async function writeOwnImage(folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const installation = { root: ROOT, nodeExecutable: process.execPath };
  const trusted = Object.keys(await collectTrustedFiles(installation, "@cloister/cli"));
  const program = trusted.filter((path) => !path.startsWith("node:"));
  const native = program.filter((path) => /\.node$|\.so(\.\d+)*$/.test(path)).map((path) => join(ROOT, path));
  const files: (ImageFile | ImageLink)[] = [
    { path: NODE_EXECUTABLE, source: process.execPath, mode: 0o755 },
    ...(await librariesOf([process.execPath, ...native])),
    ...program.map((path) => ({ path: `${PROGRAM_FOLDER}/${path}`, source: join(ROOT, path), mode: 0o644 })),
    ...readdirSync(join(ROOT, "packages")).map((name) => ({
      path: `${PROGRAM_FOLDER}/node_modules/@cloister/${name}`,
      target: `../../packages/${name}`,
    })),
  ];
  return writeImage(join(folder, "cloister.tar"), {
    repository: "cloister.test/cloister",
    files,
    config: { User: "65532" },
  });
}

/** The image that holds a pod's namespaces. */
export async function writePauseImage(folder: string): Promise<void> {
  const files = [{ path: "/pause", source: programPath("pause"), mode: 0o755 }];
  const config = { Entrypoint: ["/pause"] };
  await writeImage(join(folder, "pause.tar"), { repository: "cloister.test/pause", tag: "1", files, config });
}

/** Libraries of the system that programs link, and the loader, where the programs look for them. */
async function librariesOf(programs: readonly string[]): Promise<ImageFile[]> {
  const found = new Map<string, ImageFile>();
  for (const program of programs) {
    for (const [, path = ""] of (await run("ldd", [program])).matchAll(/(\/\S+) \(0x/g)) {
      if (!path.startsWith(ROOT)) found.set(path, { path, source: realpathSync(path), mode: 0o755 });
    }
  }
  return [...found.values()];
}
