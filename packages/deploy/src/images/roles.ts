import type { ImageConfig } from "./oci-image.ts";

/** What an image is for. One image does one thing, and holds only what that needs. */
export type ImageRole = "serving" | "broker" | "gateway" | "client";

export const IMAGE_ROLES: readonly ImageRole[] = ["serving", "broker", "gateway", "client"];

interface Role {
  /** Package whose program, with all it depends on, goes into the image beside the command line. */
  readonly package: string;
  /** Names of packages whose own files go in without what they depend on, since the command loads no more of them. */
  readonly alone?: readonly string[];
  /** Words of the command line that every container of the image starts with. */
  readonly words: readonly string[];
  readonly description: string;
}

export const ROLES: Readonly<Record<ImageRole, Role>> = {
  serving: {
    package: "@cloister/enclave",
    words: ["enclave", "run"],
    description: "Cloister: a serving replica",
  },
  broker: { package: "@cloister/broker", words: ["broker"], description: "Cloister: secret provisioning service" },
  gateway: {
    package: "@cloister/encoding",
    alone: ["deploy", "model-server"],
    words: ["gateway", "run"],
    description: "Cloister: TLS passthrough",
  },
  client: { package: "@cloister/client", words: [], description: "Cloister: requests and load" },
};

/** Where the image keeps what it runs. */
export const IMAGE_PATHS = {
  node: "/usr/local/bin/node",
  program: "/opt/cloister",
  main: "/opt/cloister/packages/cli/src/main.ts",
  /** `cloister.yaml` is read from here. */
  work: "/etc/cloister",
} as const;

/** A user that exists nowhere else; a cluster sees by the number that it is not root. */
export const IMAGE_USER = "65532:65532";

/** How a container of the role is started. */
export function configOf(role: ImageRole): ImageConfig {
  const { words, description } = ROLES[role];
  return {
    entrypoint: [IMAGE_PATHS.node, "--disable-warning=ExperimentalWarning", IMAGE_PATHS.main, ...words],
    user: IMAGE_USER,
    workingDir: IMAGE_PATHS.work,
    labels: { "org.opencontainers.image.title": description, "org.opencontainers.image.licenses": "Apache-2.0" },
  };
}
