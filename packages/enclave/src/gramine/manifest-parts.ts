import { join } from "node:path";
import { sha256File } from "../manifest/runtime-files.ts";
import { findLibrary, type LibrarySearch, neededLibraries } from "./libraries.ts";
import type { GramineDocument } from "./schema.ts";
import type { EnclaveShape } from "./size.ts";

/** Where Debian's and Ubuntu's Gramine packages install. */
export const GRAMINE_INSTALLATION = "/usr/lib/x86_64-linux-gnu/gramine";
const SYSTEM_FOLDERS = ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu"];
/** Opened by the C library at run time where they exist: name look-ups. */
const OPENED_BY_NAME = ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"];
const UNPRIVILEGED = 65_532;

/** What a manifest for any runtime takes. */
export interface ManifestBase {
  readonly shape: EnclaveShape;
  readonly isvProdId: number;
  readonly isvSvn: number;
  /** Folder of Gramine: libsysdb.so, runtime/glibc. */
  readonly gramineFolder: string;
  readonly libraryFolders: readonly string[];
  readonly sysroot?: string;
}

interface Mount {
  readonly path: string;
  readonly uri: string;
}

/** A trusted file: where the host has it, and its content. */
export interface TrustedFile {
  readonly uri: string;
  readonly sha256: string;
}

/** The folders in which the linker of the enclave looks, Gramine's C library first. */
export function librarySearch({ gramineFolder, libraryFolders, sysroot }: ManifestBase): LibrarySearch {
  const folders = [join(gramineFolder, "runtime/glibc"), ...libraryFolders, ...SYSTEM_FOLDERS];
  return { folders, ...(sysroot !== undefined && { sysroot }) };
}

/** Mounts of library folders, path and uri alike, so that trusted files have one name. */
export function libraryMounts(base: ManifestBase): Mount[] {
  return librarySearch(base).folders.map((folder) => ({ path: folder, uri: `file:${folder}` }));
}

/** Binaries with every library that they load, and those that the C library opens by name, each with its digest. */
export async function trustedBinaries(binaries: readonly string[], base: ManifestBase): Promise<TrustedFile[]> {
  const search = librarySearch(base);
  const byName = await Promise.all(OPENED_BY_NAME.map((name) => findLibrary(name, search)));
  const roots = [...binaries, ...byName.filter((path) => path !== undefined)];
  const paths = [...new Set([...roots, ...(await neededLibraries(roots, search))])].sort();
  return Promise.all(paths.map((path) => trustedFile(path, base)));
}

async function trustedFile(path: string, { sysroot = "" }: ManifestBase): Promise<TrustedFile> {
  return { uri: `file:${path}`, sha256: await sha256File(join(sysroot, path)) };
}

/** The parts that every manifest of ours has alike: nothing is left to the host, nothing insecure is on. */
export async function commonParts(base: ManifestBase): Promise<{
  loader: GramineDocument["loader"];
  sgx: NonNullable<GramineDocument["sgx"]>;
  sys: NonNullable<GramineDocument["sys"]>;
}> {
  const libos = await trustedFile(join(base.gramineFolder, "libsysdb.so"), base);
  return {
    loader: {
      entrypoint: libos,
      log_level: "error",
      uid: UNPRIVILEGED,
      gid: UNPRIVILEGED,
      env: { LD_LIBRARY_PATH: librarySearch(base).folders.join(":"), HOME: "/tmp", TMPDIR: "/tmp" },
    },
    sgx: {
      enclave_size: base.shape.enclaveSize,
      max_threads: base.shape.maxThreads,
      edmm_enable: false,
      debug: false,
      remote_attestation: "dcap",
      isvprodid: base.isvProdId,
      isvsvn: base.isvSvn,
      file_check_policy: "strict",
    },
    sys: {
      enable_sigterm_injection: true,
      enable_extra_runtime_domain_names_conf: true,
      disallow_subprocesses: true,
      stack: { size: "8M" },
    },
  };
}
