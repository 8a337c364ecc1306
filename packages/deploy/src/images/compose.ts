import { stringify } from "yaml";
import { GRAMINE_WORK, type GramineRole } from "./gramine.ts";

/** Where the compose file finds what is mounted, beside itself. Only `owner/` holds secrets; it is the owner's machine's. */
const FOLDERS = {
  owner: "./owner",
  host: "./host",
  requester: "./requester",
  simulated: "./simulated",
} as const;

/** Compose reads YAML 1.1, in which a bare "no" is false. */
const YAML_1_1 = { version: "1.1" } as const;
const SERVING_PORT = 8500;
const BROKER_NAME = "attestation.service.com";
const SERVING_NAME = "grpc.tf-serving.service.com";
/** Every container: no new rights, none to begin with, nothing to write to but what is mounted. */
const CONFINED = {
  restart: "unless-stopped",
  read_only: true,
  cap_drop: ["ALL"],
  security_opt: ["no-new-privileges:true"],
} as const;

/**
 * A compose file for one host: broker, two replicas on a SIMULATED platform, gateway, and a client to be started by hand. On a real
 * deployment the broker runs on the owner's machine, not beside the replicas.
 */
export function renderCompose(): string {
  const document = {
    services: {
      broker: broker(),
      "replica-1": replica(),
      "replica-2": replica(),
      gateway: gateway(),
      client: client(),
    },
  };
  return `# SIMULATED: no hardware protects what runs here. Written by: cloister enclave image render\n${stringify(document, YAML_1_1)}`;
}

/** What may ask for quotes. The group is a number: images know no groups of the host. */
const SGX = {
  devices: ["/dev/sgx_enclave:/dev/sgx_enclave", "/dev/sgx_provision:/dev/sgx_provision"],
  group_add: ["${SGX_PRV_GID:?number of the group of /dev/sgx_provision on this host}"],
} as const;
const AESM_SOCKET = "/var/run/aesmd";
/** Sealed files of the host, and where the manifest of a role looks for them. */
const SEALED: Readonly<Record<GramineRole, Readonly<Record<string, string>>>> = {
  "replica-gramine": { sealed: "sealed/models/digits/1" },
  "serving-gramine": { models: "models", "ssl.cfg": "ssl.cfg" },
};

/** What changes on a host with SGX: \`docker compose -f compose.yaml -f compose.sgx.yaml up\`. Replicas are those of the role. */
export function renderSgxOverride(role: GramineRole): string {
  const replica = {
    image: image(role),
    // The enclave's command line is measured; none is given here.
    command: [],
    ...SGX,
    volumes: [
      ...Object.entries(SEALED[role]).map(([name, path]) => `${FOLDERS.host}/${name}:${GRAMINE_WORK}/${path}:ro`),
      `${AESM_SOCKET}:${AESM_SOCKET}`,
    ],
  };
  return overrideText({ services: { "replica-1": replica, "replica-2": replica } });
}

/** What changes besides on a host without AESM: one in a container, whose socket the replicas share. */
export function renderAesmOverride(): string {
  const replica = { depends_on: ["broker", "aesm"], volumes: [`aesmd:${AESM_SOCKET}`] };
  const { read_only: _, ...confined } = CONFINED;
  const aesm = {
    image: image("aesm"),
    // It keeps state of its own below /var/opt/aesmd.
    ...confined,
    ...SGX,
    volumes: [`aesmd:${AESM_SOCKET}`, "/etc/sgx_default_qcnl.conf:/etc/sgx_default_qcnl.conf:ro"],
  };
  return overrideText({ services: { aesm, "replica-1": replica, "replica-2": replica }, volumes: { aesmd: {} } });
}

function overrideText(document: object): string {
  return `# Written by: cloister enclave image render\n${stringify(document, { ...YAML_1_1, aliasDuplicateObjects: false })}`;
}

/** Words of a command line that hold no blanks. */
const words = (text: string): string[] => text.split(" ");
const image = (role: string): string => `cloister/${role}:\${CLOISTER_TAG:-latest}`;

function broker(): object {
  return {
    image: image("broker"),
    ...CONFINED,
    command: [
      ...words("--policy /owner/policy.yaml --state-dir /state --passphrase-file /owner/passphrase"),
      ...words("--bundles /owner/bundles --owner-key /owner/owner.pub.pem --client-ca /owner/client-ca.pem"),
      ...words("--collateral /simulated/collateral.json --simulated-anchor /simulated/anchor.pem"),
      ...words(`--name ${BROKER_NAME} --health-host 0.0.0.0`),
    ],
    volumes: [
      `${FOLDERS.owner}/broker:/owner:ro`,
      `${FOLDERS.owner}/state:/state`,
      `${FOLDERS.simulated}/trust:/simulated:ro`,
    ],
    networks: { default: { aliases: [BROKER_NAME] } },
  };
}

function replica(): object {
  return {
    image: image("serving"),
    ...CONFINED,
    depends_on: ["broker"],
    command: [
      ...words("--platform simulated --simulated-platform /simulated/platform.json"),
      ...words(`--manifest /host/enclave.json --broker ${BROKER_NAME}:4433 --sealed /host/sealed`),
      ...words(`--listen 0.0.0.0:${SERVING_PORT} --health 0.0.0.0:8502`),
    ],
    volumes: [`${FOLDERS.host}:/host:ro`, `${FOLDERS.simulated}/platform:/simulated:ro`],
  };
}

function gateway(): object {
  return {
    image: image("gateway"),
    ...CONFINED,
    command: words(
      `--kind built-in --listen 0.0.0.0:${SERVING_PORT} --service replica-1:${SERVING_PORT},replica-2:${SERVING_PORT}`,
    ),
    ports: [`127.0.0.1:\${CLOISTER_PORT:-${SERVING_PORT}}:${SERVING_PORT}`],
    networks: { default: { aliases: [SERVING_NAME] } },
  };
}

function client(): object {
  return {
    image: image("client"),
    ...CONFINED,
    restart: "no",
    // Started by hand: docker compose run --rm client
    profiles: ["client"],
    command: [
      ...words(`infer --address ${SERVING_NAME}:${SERVING_PORT} --model digits`),
      ...words("--ca /requester/ca.pem --cert /requester/cert.pem --key /requester/key.pem"),
    ],
    volumes: [`${FOLDERS.requester}:/requester:ro`],
  };
}
