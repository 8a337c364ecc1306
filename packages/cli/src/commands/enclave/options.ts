import { createPublicKey, X509Certificate } from "node:crypto";
import { hostname } from "node:os";
import { basename, dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import {
  acceptHostOptions,
  type HostOptions,
  type Installation,
  type ReplicaConfig,
  type Runtime,
  RUNTIME_NAMES,
} from "@cloister/enclave";
import { parseHostPort } from "@cloister/encoding/host-port";
import { z } from "zod";
import { address } from "../../flags.ts";
import type { Section } from "../../config.ts";
import { InputError, need, readText } from "../../read-document.ts";

const NAME = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);
const PATH = z.string().min(1).max(4096);
const ADDRESS = z.string().refine((text) => parseHostPort(text) !== undefined, "host:port is needed");

const EnclaveConfig = z.strictObject({
  model: NAME.optional(),
  modelVersion: z.int().positive().optional(),
  threads: z.int().min(1).max(256).optional(),
  broker: z.array(ADDRESS).min(1).max(8).optional(),
  brokerName: z.string().min(1).max(253).optional(),
  brokerCa: PATH.optional(),
  brokerLogKey: PATH.optional(),
  runtime: z.enum(RUNTIME_NAMES as [Runtime, ...Runtime[]]).optional(),
  modelBytes: z.int().positive().optional(),
  enclaveSize: z
    .string()
    .regex(/^\d+[MG]$/)
    .optional(),
  maxThreads: z.int().min(4).max(4096).optional(),
  gramineFolder: PATH.optional(),
  libraryFolder: z.array(PATH).max(32).optional(),
  installation: PATH.optional(),
  binary: PATH.optional(),
  keyName: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/)
    .optional(),
  isvProdId: z.int().min(0).max(0xffff).optional(),
  isvSvn: z.int().min(0).max(0xffff).optional(),
  sealed: PATH.optional(),
  listen: ADDRESS.optional(),
  health: ADDRESS.optional(),
  maxConnectionAgeSeconds: z.int().min(1).max(604_800).optional(),
  waitForBrokerSeconds: z.int().min(0).max(604_800).optional(),
  simulatedPlatform: PATH.optional(),
});

export type EnclaveSettings = z.infer<typeof EnclaveConfig>;

export const ENCLAVE_SECTION: Section<EnclaveSettings> = { name: "enclave", schema: EnclaveConfig };

/** Holds the folder of this package: `packages` during development, `node_modules` once installed. */
const ABOVE = resolve(dirname(fileURLToPath(import.meta.url)), "../../../../..");

/** Where this program is installed: the folder that holds `packages/` and `node_modules/`. */
export const INSTALLATION: Installation = {
  root: basename(ABOVE) === "node_modules" ? dirname(ABOVE) : ABOVE,
  nodeExecutable: process.execPath,
};

export const DEFAULTS = {
  broker: "attestation.service.com:4433",
  listen: "0.0.0.0:8500",
  health: "0.0.0.0:8502",
  waitForBrokerSeconds: 3600,
  binary: "/usr/bin/tensorflow_model_server",
} as const;

/** What is measured of a replica: model, and whom it trusts. Throws OPTION_MISSING, FILE_UNREADABLE, FILE_MALFORMED. */
export async function replicaConfigOf(settings: EnclaveSettings, isLogKeyNeeded = true): Promise<ReplicaConfig> {
  const broker = settings.broker ?? [DEFAULTS.broker];
  const serverName = settings.brokerName ?? address(broker[0] ?? DEFAULTS.broker).host;
  const caPem = await certificateIn(need(settings.brokerCa, "--broker-ca"));
  // The stock client of Gramine gets no proof of the log.
  const logKey = isLogKeyNeeded ? await publicKeyIn(need(settings.brokerLogKey, "--broker-log-key")) : "";
  return {
    model: { name: need(settings.model, "--model"), version: settings.modelVersion ?? 1 },
    broker: { serverName, caPem, logKey },
    engineThreads: settings.threads ?? 1,
  };
}

export function brokerAddressesOf({ broker = [DEFAULTS.broker] }: EnclaveSettings): HostOptions["brokerAddresses"] {
  return broker.map(address);
}

/** What the host chooses. Throws HOST_OPTION_REFUSED, OPTION_MISSING. */
export function hostOptionsOf(settings: EnclaveSettings, replicaId?: string): HostOptions {
  return acceptHostOptions({
    replicaId: replicaId ?? replicaIdOf(hostname()),
    brokerAddresses: brokerAddressesOf(settings),
    sealedDir: resolve(need(settings.sealed, "--sealed")),
    listen: address(settings.listen ?? DEFAULTS.listen),
    health: address(settings.health ?? DEFAULTS.health),
    ...(settings.maxConnectionAgeSeconds !== undefined && {
      maxConnectionAgeSeconds: settings.maxConnectionAgeSeconds,
    }),
    waitForBrokerSeconds: settings.waitForBrokerSeconds ?? DEFAULTS.waitForBrokerSeconds,
  });
}

/** Names of pods and machines, as an id of a replica. */
function replicaIdOf(name: string): string {
  return (
    name
      .toLowerCase()
      .replaceAll(/[^a-z0-9-]/g, "-")
      .slice(0, 63) || "replica"
  );
}

async function certificateIn(path: string): Promise<string> {
  const text = await readText(path);
  try {
    return new X509Certificate(text).toString();
  } catch (cause) {
    throw malformed(path, "a certificate", cause);
  }
}

/** Base64 of the SubjectPublicKeyInfo of a PEM key. */
async function publicKeyIn(path: string): Promise<string> {
  const text = await readText(path);
  try {
    return createPublicKey(text).export({ type: "spki", format: "der" }).toString("base64");
  } catch (cause) {
    throw malformed(path, "a public key", cause);
  }
}

function malformed(path: string, what: string, cause: unknown): InputError {
  return new InputError(
    "FILE_MALFORMED",
    { what: `${path} was refused`, why: `it is not ${what} in PEM`, remedy: "give the file that the broker wrote" },
    { cause },
  );
}
