import { IMAGE_USER } from "./roles.ts";

/** Where the image for the unmodified server keeps manifest, signature and authority, and looks for model and `ssl.cfg`. */
export const GRAMINE_WORK = "/var/lib/cloister";
/** As `enclave manifest --platform gramine` names its files. */
const APPLICATION = "cloister";
const FOLDER = "serving-gramine";

interface PackageSource {
  /** Of the build argument with its address, and of its key beside the Dockerfile. */
  readonly name: string;
  readonly argument: string;
  readonly address: string;
  /** What comes after the address in a package source. */
  readonly suite: string;
}

const SOURCES: readonly PackageSource[] = [
  {
    name: "intel-sgx",
    argument: "INTEL_SGX_REPOSITORY",
    address: "https://download.01.org/intel-sgx/sgx_repo/ubuntu",
    suite: "${DISTRIBUTION} main",
  },
  {
    name: "gramine",
    argument: "GRAMINE_REPOSITORY",
    address: "https://packages.gramineproject.io/",
    suite: "${DISTRIBUTION} main",
  },
  {
    name: "tensorflow-serving",
    argument: "TENSORFLOW_SERVING_REPOSITORY",
    address: "https://storage.googleapis.com/tensorflow-serving-apt",
    suite: "stable tensorflow-model-server tensorflow-model-server-universal",
  },
];

/**
 * The first of two Dockerfiles for `tensorflow_model_server` under Gramine: base, Gramine with `libsecret_prov_attest.so`, and the server,
 * each version named by whoever builds. Keys of the package sources come from the folder, where they were looked at, not from
 * the network. The manifest is made in this image, since it measures its files.
 */
export function renderGramineRuntime(): string {
  const source = ({ name, argument, suite }: PackageSource): string =>
    `echo "deb [arch=amd64 signed-by=/usr/share/keyrings/${name}.gpg] \${${argument}} ${suite}" > /etc/apt/sources.list.d/${name}.list`;
  const steps = [
    "set -eu",
    ...SOURCES.map(source),
    "apt-get update",
    'apt-get install -y --no-install-recommends "gramine=${GRAMINE_VERSION}" "tensorflow-model-server=${TENSORFLOW_SERVING_VERSION}"',
    "rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /var/log/alternatives.log",
  ];
  return `# Written by: cloister enclave image render
# ${FOLDER}/keys/ holds ${SOURCES.map(({ name }) => `${name}.gpg`).join(", ")}: keyrings whose fingerprints you compared.
# BASE_IMAGE by digest, with ca-certificates; its release is DISTRIBUTION. Versions as apt-cache policy prints them.
ARG BASE_IMAGE
FROM \${BASE_IMAGE}
ARG DISTRIBUTION
ARG GRAMINE_VERSION
ARG TENSORFLOW_SERVING_VERSION
${SOURCES.map(({ argument, address }) => `ARG ${argument}=${address}`).join("\n")}
ARG DEBIAN_FRONTEND=noninteractive
COPY ${FOLDER}/keys/ /usr/share/keyrings/
RUN ${steps.join(" && \\\n    ")}
`;
}

/**
 * The second: the runtime's image and the measured files. The signing key stays elsewhere, model and `ssl.cfg` are mounted, sealed.
 * The enclave's command line is measured: the container has none.
 */
export function renderGramineServing(): string {
  return `# Written by: cloister enclave image render
# BASE_IMAGE is what ${FOLDER}-runtime.Dockerfile built; ${FOLDER}/enclave/ holds ${APPLICATION}.manifest.sgx, ${APPLICATION}.sig, ca.pem.
ARG BASE_IMAGE
FROM \${BASE_IMAGE}
COPY ${["manifest.sgx", "sig"].map((name) => `${FOLDER}/enclave/${APPLICATION}.${name}`).join(" ")} ${FOLDER}/enclave/ca.pem ${GRAMINE_WORK}/
LABEL org.opencontainers.image.title="Cloister: TensorFlow Serving under Gramine"
WORKDIR ${GRAMINE_WORK}
USER ${IMAGE_USER}
ENTRYPOINT ${JSON.stringify(["gramine-sgx", APPLICATION])}
`;
}

/** What is sent to Docker's daemon for the two: keys of package sources and the enclave's files, nothing else of the folder. */
export const GRAMINE_CONTEXT = FOLDER;
