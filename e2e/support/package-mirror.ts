import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

// Package sources on disk with stand-ins for what the Dockerfiles install and no registry has: Gramine, Intel's quoting service,
// the unmodified server. They lie where the real ones do and are as little as the build needs. Needs Debian's dpkg-dev and gpg.

const run = promisify(execFile);
const GRAMINE = "usr/lib/x86_64-linux-gnu/gramine";
/** Any library with a dynamic section and LOAD segments. */
const LIBRARY = "/lib/x86_64-linux-gnu/libm.so.6";
const PROGRAM = "/bin/true";

/** Stands for the loader: starts what the manifest fixes, as it is, outside of SGX. */
const GRAMINE_SGX = `#!/bin/sh
echo "gramine-sgx of the test: NOT SGX" >&2
eval "set -- $(sed -n 's/^argv = \\[ \\(.*\\) \\]$/\\1/p' "$1.manifest.sgx" | tr ',' ' ')"
shift
exec /usr/local/bin/node "$@"
`;
const AESM_SERVICE = '#!/bin/sh\ntouch /var/run/aesmd/aesm.socket && echo "aesm_service of the test $*"\n';

interface Package {
  readonly name: string;
  readonly version: string;
  /** By path below the root: a text to write, or a file of this machine to copy. */
  readonly files: Readonly<Record<string, { readonly text: string } | { readonly copyOf: string }>>;
}

const plain = (name: string): Package => ({ name, version: "1.0", files: {} });

const SOURCES: Readonly<Record<string, { readonly suite: string; readonly components: readonly string[] }>> = {
  "intel-sgx": { suite: "bookworm", components: ["main"] },
  gramine: { suite: "bookworm", components: ["main"] },
  "tensorflow-serving": {
    suite: "stable",
    components: ["tensorflow-model-server", "tensorflow-model-server-universal"],
  },
};

const PACKAGES: Readonly<Record<keyof typeof SOURCES, readonly Package[]>> = {
  "intel-sgx": [
    {
      name: "sgx-aesm-service",
      version: "2.99",
      files: {
        "opt/intel/sgx-aesm-service/aesm/aesm_service": { text: AESM_SERVICE },
        "var/opt/aesmd/data/state": { text: "" },
      },
    },
    ...["libsgx-dcap-default-qpl", "libsgx-aesm-launch-plugin", "libsgx-aesm-quote-ex-plugin"].map(plain),
    plain("libsgx-aesm-ecdsa-plugin"),
  ],
  gramine: [
    {
      name: "gramine",
      version: "1.99",
      files: {
        "usr/bin/gramine-sgx": { text: GRAMINE_SGX },
        [`${GRAMINE}/libsysdb.so`]: { copyOf: LIBRARY },
        [`${GRAMINE}/sgx/libpal.so`]: { copyOf: LIBRARY },
        [`${GRAMINE}/runtime/glibc/README`]: { text: "the test has the system's C library\n" },
        "usr/lib/x86_64-linux-gnu/libsecret_prov_attest.so": { copyOf: LIBRARY },
      },
    },
  ],
  "tensorflow-serving": [
    {
      name: "tensorflow-model-server",
      version: "2.99",
      files: { "usr/bin/tensorflow_model_server": { copyOf: PROGRAM } },
    },
  ],
};

/** Versions of the stand-ins, as the Dockerfiles' arguments. */
export const MIRROR_VERSIONS = {
  GRAMINE_VERSION: "1.99",
  TENSORFLOW_SERVING_VERSION: "2.99",
  AESM_VERSION: "2.99",
  QPL_VERSION: "1.0",
} as const;

/**
 * Writes the package sources into a folder, one each, signed under a key of their own, and gives the keyrings by the names that
 * Dockerfiles look for. `scratch` takes what is needed on the way.
 */
export async function writePackageMirror(mirror: string, scratch: string): Promise<ReadonlyMap<string, Buffer>> {
  const keyrings = new Map<string, Buffer>();
  for (const [name, { suite, components }] of Object.entries(SOURCES)) {
    const folder = join(mirror, name);
    for (const one of PACKAGES[name] ?? []) await writePackage(folder, join(scratch, name), one);
    const { stdout: index } = await run("dpkg-scanpackages", ["--multiversion", "."], { cwd: folder });
    const release = [`Suite: ${suite}`, `Codename: ${suite}`, `Components: ${components.join(" ")}`];
    release.push("Architectures: amd64", "Date: Thu, 01 Jan 2026 00:00:00 UTC", "SHA256:");
    for (const [place, component] of components.entries()) {
      const path = join(folder, "dists", suite, component, "binary-amd64/Packages");
      await mkdir(dirname(path), { recursive: true });
      const text = place === 0 ? index : "";
      await writeFile(path, text);
      const digest = createHash("sha256").update(text).digest("hex");
      release.push(` ${digest} ${Buffer.byteLength(text)} ${component}/binary-amd64/Packages`);
    }
    keyrings.set(`${name}.gpg`, await sign(join(folder, "dists", suite), `${release.join("\n")}\n`, scratch, name));
  }
  return keyrings;
}

async function writePackage(folder: string, scratch: string, { name, version, files }: Package): Promise<void> {
  const root = join(scratch, name);
  await mkdir(join(root, "DEBIAN"), { recursive: true });
  await mkdir(folder, { recursive: true });
  const control = { Package: name, Version: version, Architecture: "amd64", Maintainer: "test <test@example.com>" };
  const lines = Object.entries(control).map(([key, value]) => `${key}: ${value}\n`);
  await writeFile(join(root, "DEBIAN/control"), `${lines.join("")}Description: stands for ${name}\n`);
  for (const [path, source] of Object.entries(files)) {
    const target = join(root, path);
    await mkdir(dirname(target), { recursive: true });
    if ("copyOf" in source) await copyFile(source.copyOf, target);
    else await writeFile(target, source.text);
    await chmod(target, 0o755);
  }
  await run("dpkg-deb", ["--root-owner-group", "--build", root, join(folder, `${name}.deb`)]);
}

/** Makes a key, writes the signed release, and gives the key's public half as a binary keyring. */
async function sign(folder: string, release: string, scratch: string, name: string): Promise<Buffer> {
  const home = join(scratch, `${name}-gpg`);
  await mkdir(home, { mode: 0o700 });
  const gpg = (...words: readonly string[]) => run("gpg", ["--homedir", home, "--batch", "--passphrase", "", ...words]);
  try {
    await gpg("--quick-generate-key", `${name} of the test`, "ed25519", "sign", "never");
    await writeFile(join(folder, "Release"), release);
    await gpg("--clearsign", "--output", join(folder, "InRelease"), join(folder, "Release"));
    await gpg("--export", "--output", join(home, "public.gpg"));
    return await readFile(join(home, "public.gpg"));
  } finally {
    await run("gpgconf", ["--homedir", home, "--kill", "all"]);
  }
}
