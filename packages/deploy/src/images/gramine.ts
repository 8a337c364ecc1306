import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DeployError } from "../errors.ts";
import type { ImageConfig, ImageFile } from "./oci-image.ts";
import { IMAGE_USER } from "./roles.ts";

/** Images that run under Gramine: a replica of this program, and the unmodified `tensorflow_model_server`. */
export type GramineRole = "replica-gramine" | "serving-gramine";
export const GRAMINE_ROLES: readonly GramineRole[] = ["replica-gramine", "serving-gramine"];

/** Where these images keep manifest, signature and measured files, and look for what is mounted sealed. */
export const GRAMINE_WORK = "/var/lib/cloister";
/** As `enclave manifest --platform gramine` names its files. */
const APPLICATION = "cloister";

interface PackageSource {
  /** Of the build argument with its address, and of its key beside the Dockerfile. */
  readonly name: string;
  readonly argument: string;
  readonly address: string;
  /** What comes after the address in a package source. */
  readonly suite: string;
}

const INTEL_SGX: PackageSource = {
  name: "intel-sgx",
  argument: "INTEL_SGX_REPOSITORY",
  address: "https://download.01.org/intel-sgx/sgx_repo/ubuntu",
  suite: "${DISTRIBUTION} main",
};
const GRAMINE: PackageSource = {
  name: "gramine",
  argument: "GRAMINE_REPOSITORY",
  address: "https://packages.gramineproject.io/",
  suite: "${DISTRIBUTION} main",
};
const TENSORFLOW_SERVING: PackageSource = {
  name: "tensorflow-serving",
  argument: "TENSORFLOW_SERVING_REPOSITORY",
  address: "https://storage.googleapis.com/tensorflow-serving-apt",
  suite: "stable tensorflow-model-server tensorflow-model-server-universal",
};

interface PackageImage {
  /** Folder beside the Dockerfile: `keys/` holds the keyrings of the package sources. */
  readonly folder: string;
  readonly sources: readonly PackageSource[];
  /** Packages by the build argument that names their version. */
  readonly packages: Readonly<Record<string, string>>;
  /** Folder beside the Dockerfile that goes to the root: what comes out of no package. */
  readonly program?: string;
  /** Further packages, in the versions that fit. */
  readonly plugins?: readonly string[];
  /** What the user of the image writes to. */
  readonly writable?: readonly string[];
}

interface GramineImage {
  readonly title: string;
  readonly runtime: PackageImage;
  /** Files that were measured, or hold the signature over the measurement. No key is among them. */
  readonly enclaveFiles: readonly string[];
}

const SIGNED = ["cloister.manifest.sgx", "cloister.sig"];

const IMAGES: Readonly<Record<GramineRole, GramineImage>> = {
  "replica-gramine": {
    title: "Cloister: a serving replica under Gramine",
    runtime: {
      folder: "replica-gramine",
      sources: [INTEL_SGX, GRAMINE],
      packages: { GRAMINE_VERSION: "gramine" },
      program: "program",
    },
    enclaveFiles: [...SIGNED, "replica.json"],
  },
  "serving-gramine": {
    title: "Cloister: TensorFlow Serving under Gramine",
    runtime: {
      folder: "serving-gramine",
      sources: [INTEL_SGX, GRAMINE, TENSORFLOW_SERVING],
      packages: { GRAMINE_VERSION: "gramine", TENSORFLOW_SERVING_VERSION: "tensorflow-model-server" },
    },
    enclaveFiles: [...SIGNED, "ca.pem"],
  },
};

/** AESM in a container of its own, for a host that has none: Gramine asks it for quotes through its socket. */
const AESM: PackageImage = {
  folder: "aesm",
  sources: [INTEL_SGX],
  packages: { AESM_VERSION: "sgx-aesm-service", QPL_VERSION: "libsgx-dcap-default-qpl" },
  plugins: ["libsgx-aesm-launch-plugin", "libsgx-aesm-quote-ex-plugin", "libsgx-aesm-ecdsa-plugin"],
  writable: ["/var/run/aesmd", "/var/opt/aesmd"],
};
const AESM_FOLDER = "/opt/intel/sgx-aesm-service/aesm";

/**
 * The first of two Dockerfiles for a server under Gramine: base, Gramine, and the server, each version named by whoever builds. The
 * manifest is made in this image, since it measures its files.
 */
export function renderGramineRuntime(role: GramineRole): string {
  return renderPackages(IMAGES[role].runtime);
}

/**
 * The second: the runtime's image and the measured files. The signing key stays elsewhere, what is sealed is mounted. The enclave's
 * command line is measured: the container has none.
 */
export function renderGramineImage(role: GramineRole): string {
  return `# Written by: cloister enclave image render
# BASE_IMAGE is what ${role}-runtime.Dockerfile built.
# First: cloister enclave image stage --role ${role} --enclave FOLDER --output ${role}/files
ARG BASE_IMAGE
FROM \${BASE_IMAGE}
COPY ${role}/files/ /
LABEL org.opencontainers.image.title=${JSON.stringify(IMAGES[role].title)}
WORKDIR ${GRAMINE_WORK}
USER ${IMAGE_USER}
ENTRYPOINT ${JSON.stringify(gramineConfig(role).entrypoint)}
`;
}

/**
 * The files above the runtime, out of the folder that `enclave manifest` and `enclave sign` wrote. Throws
 * `IMAGE_FILE_INVALID`.
 */
export async function gramineFiles(role: GramineRole, enclaveFolder: string): Promise<ImageFile[]> {
  const { enclaveFiles } = IMAGES[role];
  const present = await readdir(enclaveFolder).catch((): string[] => []);
  const missing = enclaveFiles.find((name) => !present.includes(name));
  if (missing !== undefined) {
    throw new DeployError("IMAGE_FILE_INVALID", {
      what: "the image was not built",
      why: `${join(enclaveFolder, missing)} is not there`,
      remedy: "write it first: cloister enclave manifest --platform gramine, then cloister enclave sign",
    });
  }
  return enclaveFiles.map((name) => ({
    path: `${GRAMINE_WORK}/${name}`,
    source: join(enclaveFolder, name),
    mode: 0o644,
  }));
}

/** How a container under Gramine is started. */
export function gramineConfig(role: GramineRole): ImageConfig {
  return {
    entrypoint: ["gramine-sgx", APPLICATION],
    user: IMAGE_USER,
    workingDir: GRAMINE_WORK,
    labels: { "org.opencontainers.image.title": IMAGES[role].title },
  };
}

/** Intel's quoting service alone. It needs the devices, and a volume for its socket that replicas share. */
export function renderAesm(): string {
  return `${renderPackages(AESM)}LABEL org.opencontainers.image.title="Intel SGX: AESM"
WORKDIR ${AESM_FOLDER}
ENV AESM_PATH=${AESM_FOLDER} LD_LIBRARY_PATH=${AESM_FOLDER}
USER ${IMAGE_USER}
ENTRYPOINT ${JSON.stringify([`${AESM_FOLDER}/aesm_service`, "--no-daemon"])}
`;
}

/** Keys of the package sources come from a folder, where they were looked at, not from the network. */
function renderPackages(image: PackageImage): string {
  const { folder, sources, packages, program, plugins = [], writable = [] } = image;
  const source = ({ name, argument, suite }: PackageSource): string =>
    `echo "deb [arch=amd64 signed-by=/usr/share/keyrings/${name}.gpg] \${${argument}} ${suite}" > /etc/apt/sources.list.d/${name}.list`;
  const versions = Object.entries(packages).map(([argument, name]) => `"${name}=\${${argument}}"`);
  const steps = [
    "set -eu",
    ...sources.map(source),
    "apt-get update",
    `apt-get install -y --no-install-recommends ${[...versions, ...plugins].join(" ")}`,
    "rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /var/log/alternatives.log",
    ...writable.map((path) => `mkdir -p ${path} && chown -R ${IMAGE_USER} ${path}`),
  ];
  return `# Written by: cloister enclave image render
# ${folder}/keys/ holds ${sources.map(({ name }) => `${name}.gpg`).join(", ")}: keyrings whose fingerprints you compared.
# BASE_IMAGE by digest, with ca-certificates; its release is DISTRIBUTION. Versions as apt-cache policy prints them.
ARG BASE_IMAGE
FROM \${BASE_IMAGE}
ARG DISTRIBUTION
${Object.keys(packages)
  .map((argument) => `ARG ${argument}`)
  .join("\n")}
${sources.map(({ argument, address }) => `ARG ${argument}=${address}`).join("\n")}
ARG DEBIAN_FRONTEND=noninteractive
COPY ${folder}/keys/ /usr/share/keyrings/
RUN ${steps.join(" && \\\n    ")}
${program === undefined ? "" : `# First: cloister enclave image stage --base --built --role serving --output ${folder}/${program}\nCOPY ${folder}/${program}/ /\n`}`;
}

/** What is sent to Docker's daemon for these images: keys of package sources, the program and the enclave's files. */
export const GRAMINE_CONTEXTS: readonly string[] = [...GRAMINE_ROLES, AESM.folder];
