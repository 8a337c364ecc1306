import { join } from "node:path";
import { collectTrustedFiles, entryFile, type Installation, NODE_EXECUTABLE } from "../manifest/runtime-files.ts";
import { commonParts, libraryMounts, type ManifestBase, trustedBinaries, type TrustedFile } from "./manifest-parts.ts";
import type { GramineDocument } from "./schema.ts";

const SETTINGS_PATH = "/etc/cloister/replica.json";
export const SEALED_PATH = "/sealed";

const BINARY = /\.(?:node|so(?:\.\d+)*)$/;

export interface ReplicaGramineOptions extends ManifestBase {
  /** Built packages: below Gramine links are not seen, and Node takes no TypeScript from node_modules. */
  readonly installation: Installation;
  /** The replica's settings, relative to where Gramine starts, with their digest. */
  readonly settings: TrustedFile;
  /** Folder of sealed files, relative to where Gramine starts. */
  readonly sealedUri: string;
}

/**
 * A manifest for a replica of this program on Node.js. Sealed files come from the host as they are: the replica verifies and opens
 * each against the owner's signed list. Throws `INSTALLATION_NOT_BUILT`, `LIBRARY_NOT_FOUND`, `ELF_MALFORMED`.
 */
export async function replicaGramineManifest(options: ReplicaGramineOptions): Promise<GramineDocument> {
  const { installation, sysroot = "" } = options;
  const { root, nodeExecutable } = installation;
  const outside = (path: string): string => (path.startsWith(sysroot) ? path.slice(sysroot.length) : path);
  const program = await collectTrustedFiles(installation, "@cloister/enclave");
  const entry = await entryFile(installation);
  const files = Object.entries(program).filter(([name]) => name !== NODE_EXECUTABLE);
  const inside = files.map(([name, sha256]) => ({ uri: `file:${outside(join(root, name))}`, sha256 }));
  const natives = files.filter(([name]) => BINARY.test(name)).map(([name]) => outside(join(root, name)));
  const binaries = await trustedBinaries([outside(nodeExecutable), ...natives], options);
  const { loader, sgx, sys } = await commonParts(options);
  const node = outside(nodeExecutable);
  return {
    libos: { entrypoint: node },
    loader: {
      ...loader,
      argv: ["node", outside(join(root, entry)), SETTINGS_PATH],
      env: { ...loader.env, NODE_ENV: "production", UV_USE_IO_URING: "0" },
    },
    fs: {
      mounts: [
        ...libraryMounts(options),
        { path: node, uri: `file:${node}` },
        { path: outside(root), uri: `file:${outside(root)}` },
        { path: SETTINGS_PATH, uri: options.settings.uri },
        { path: SEALED_PATH, uri: options.sealedUri },
        { type: "tmpfs", path: "/tmp" },
      ],
    },
    sgx: {
      ...sgx,
      trusted_files: unique([...binaries, ...inside, options.settings]),
      allowed_files: [`${options.sealedUri}/`],
    },
    // libuv starts only with eventfd, which Gramine emulates over the host. The host can drop and invent wake-ups with it: it
    // can stop the server, which it can anyway, and learns nothing.
    sys: { ...sys, insecure__allow_eventfd: true },
  };
}

function unique(files: readonly TrustedFile[]): TrustedFile[] {
  return [...new Map(files.map((file) => [file.uri, file])).values()];
}
