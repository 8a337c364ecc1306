import { access } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { INTEL_PCS, INTEL_ROOT, type TrustAnchor } from "@cloister/attestation";
import { isProtected, qcnlService } from "@cloister/attestation/qcnl";
import { readQcnl } from "@cloister/attestation/read-qcnl";
import {
  type KeyProtection,
  passphraseFromCommand,
  passphraseFromEnvironment,
  passphraseFromFile,
  passphraseProtection,
  readSecretFile,
  vaultTransitProtection,
} from "@cloister/broker";
import {
  type BrokerServiceOptions,
  bundleFolder,
  type CollateralSettings,
  type IdentityOptions,
  storeIn,
  STATE_FILES,
} from "@cloister/broker/service";
import { type StoreSettings, readStoreSettings } from "@cloister/broker/store";
import { Secret } from "@cloister/encoding";
import { type Command, InvalidArgumentError } from "commander";
import { z } from "zod";
import type { Section } from "../../config.ts";
import { wholeNumber } from "../../flags.ts";
import { InputError, need, needReadable, parseDocument, readCertificate, readText } from "../../read-document.ts";

/** What the original's enclaves connect to. */
export const DEFAULT_NAME = "attestation.service.com";
const PORT = z.int().min(0).max(65_535);
/** Files that an operator replaces take effect within this time. */
const FILES_MAX_AGE_MS = 600_000;
const PATH = z.string().min(1).max(4096);

/** The section `broker` of `cloister.yaml`; every key has a flag of the same name. */
const BrokerConfig = z.strictObject({
  host: z.string().min(1).max(253).optional(),
  port: PORT.optional(),
  healthHost: z.string().min(1).max(253).optional(),
  healthPort: PORT.optional(),
  stateDir: PATH.optional(),
  policy: PATH.optional(),
  keys: PATH.optional(),
  passphraseFile: PATH.optional(),
  passphraseEnv: z.string().min(1).max(128).optional(),
  passphraseCommand: z.array(z.string().max(4096)).min(1).optional(),
  vaultUrl: z.url().optional(),
  vaultKey: z.string().min(1).max(128).optional(),
  vaultMount: z.string().min(1).max(128).optional(),
  vaultTokenFile: PATH.optional(),
  vaultCa: PATH.optional(),
  store: z.string().min(1).max(4096).optional(),
  storePasswordFile: PATH.optional(),
  storeCa: PATH.optional(),
  log: PATH.optional(),
  name: z.array(z.string().min(1).max(253)).min(1).optional(),
  certificateDays: z.int().min(1).max(825).optional(),
  allowTls13: z.boolean().optional(),
  pccs: z.url().optional(),
  pccsCa: PATH.optional(),
  qcnl: PATH.optional(),
  allowInsecureTls: z.boolean().optional(),
  collateral: PATH.optional(),
  simulatedAnchor: PATH.optional(),
  bundles: PATH.optional(),
  ownerKey: PATH.optional(),
  clientCa: PATH.optional(),
});

export type BrokerSettings = z.infer<typeof BrokerConfig>;

export const BROKER_SECTION: Section<BrokerSettings> = { name: "broker", schema: BrokerConfig };

/** Options of everything that opens the key store. */
export function withKeyOptions(command: Command): Command {
  return command
    .option("--config <file>", "configuration file (default: cloister.yaml, if there is one)")
    .option("--state-dir <folder>", "authority, release log and keys (default: broker-state)")
    .option(
      "--store <url>",
      "keys, log and policy: sqlite:FILE, or postgresql://user@host/db for brokers on several machines (default: broker.db in the state folder)",
    )
    .option("--keys <file>", "key store in a file of its own (default: keys.json in the state folder, if it is there)")
    .option("--store-password-file <file>", "its password, mode 0600")
    .option("--store-ca <file>", "authority of its certificate, PEM; needed unless it is on this machine")
    .option("--passphrase-file <file>", "passphrase of the key store, mode 0600")
    .option("--passphrase-env <name>", "environment variable with the passphrase; taken out of the environment")
    .option(
      "--passphrase-command <word...>",
      "command that prints the passphrase; runs without a shell (repeat as --passphrase-command=-x for a word with a dash)",
    )
    .option("--vault-url <url>", "HashiCorp Vault whose transit engine keeps the master key")
    .option("--vault-key <name>", "name of the transit key")
    .option("--vault-mount <path>", "path of the transit engine (default: transit)")
    .option("--vault-token-file <file>", "token for the vault, mode 0600")
    .option("--vault-ca <file>", "authority of the vault's certificate, PEM");
}

/** Options of the service alone. */
export function withServiceOptions(command: Command): Command {
  const port = wholeNumber(0, 65_535);
  return command
    .option("--host <address>", "address to listen on (default: 0.0.0.0)")
    .option("--port <n>", "port to listen on (default: 4433)", port)
    .option("--health-host <address>", "address of /livez, /readyz and /metrics (default: 127.0.0.1)")
    .option("--health-port <n>", "their port (default: 9433)", port)
    .option("--policy <file>", "release policy, JSON or YAML; read again when it changes and on SIGHUP")
    .option(
      "--log <file>",
      "release log in a file of its own (default: release.log in the state folder, if it is there)",
    )
    .option("--name <dns...>", `names that enclaves connect to (default: ${DEFAULT_NAME})`)
    .option("--certificate-days <n>", "life of the broker's own certificate (default: 30)", wholeNumber(1, 825))
    .option("--allow-tls13", "also speak TLS 1.3, which breaks clients of Gramine 1.8")
    .option("--pccs <url>", "collateral from that PCCS (default: Intel's service)", url)
    .option("--pccs-ca <file>", "authority of its certificate, PEM")
    .option("--qcnl <file>", "collateral as that sgx_default_qcnl.conf says")
    .option(
      "--allow-insecure-tls",
      "take `use_secure_cert: false` in it for an answer: newer revocations may be held back",
    )
    .option("--collateral <path>", "collateral from a file or folder, for machines without network")
    .option("--simulated-anchor <file>", "also trust this SIMULATED platform's root, PEM; a policy has to name it too")
    .option("--bundles <folder>", "manifests of sealed models, <model>/<version>.json")
    .option("--owner-key <file>", "public key that they are signed with, PEM")
    .option("--client-ca <file>", "authority of requesters' certificates, PEM");
}

export const stateDirOf = ({ stateDir }: BrokerSettings): string => resolve(stateDir ?? "broker-state");

/** Where keys and log are: the database that is named, or that of the state folder; undefined for files of their own. */
export async function storeOf(settings: BrokerSettings): Promise<StoreSettings | undefined> {
  const { store, storePasswordFile, storeCa, keys, log } = settings;
  if (store === undefined) return keys !== undefined && log !== undefined ? undefined : storeIn(stateDirOf(settings));
  return readStoreSettings({ url: store, passwordFile: storePasswordFile, caFile: storeCa });
}

/** The file that the keys are in; undefined where they are on a server. */
export async function keysPathOf(settings: BrokerSettings): Promise<string | undefined> {
  if (settings.keys !== undefined) return settings.keys;
  const store = await storeOf(settings);
  if (store === undefined) return join(stateDirOf(settings), STATE_FILES.keys);
  return "path" in store ? store.path : undefined;
}

export const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** A flag's address. Commander reports what is none as wrong usage. */
function url(text: string): string {
  if (!URL.canParse(text)) throw new InvalidArgumentError("It is not a URL.");
  return text;
}

/** What the key store is kept under: exactly one of a passphrase's sources or a vault. */
export async function protectionOf(settings: BrokerSettings): Promise<KeyProtection> {
  const { passphraseFile, passphraseEnv, passphraseCommand, vaultUrl } = settings;
  if (vaultUrl !== undefined) {
    const { vaultKey, vaultMount, vaultTokenFile, vaultCa } = settings;
    return vaultTransitProtection({
      url: vaultUrl,
      key: need(vaultKey, "--vault-key"),
      token: new Secret(await readSecretFile(need(vaultTokenFile, "--vault-token-file")), "vault token"),
      ...(vaultMount !== undefined && { mount: vaultMount }),
      ...(vaultCa !== undefined && { ca: await readText(vaultCa) }),
    });
  }
  if (passphraseEnv !== undefined) return passphraseProtection(passphraseFromEnvironment(passphraseEnv));
  if (passphraseCommand !== undefined) {
    const [program, ...args] = passphraseCommand;
    return passphraseProtection(await passphraseFromCommand([program ?? "", ...args]));
  }
  return passphraseProtection(await passphraseFromFile(need(passphraseFile, "--passphrase-file (or another source)")));
}

/** Where the broker's keys are, and what opens them. */
export async function identityOptions(settings: BrokerSettings): Promise<IdentityOptions> {
  const store = await storeOf(settings);
  return {
    stateDir: stateDirOf(settings),
    protection: await protectionOf(settings),
    ...(settings.keys !== undefined && { keysFile: settings.keys }),
    ...(store !== undefined && { store }),
  };
}

/** Settings of the service, from flags over configuration. */
export async function serviceOptions(settings: BrokerSettings): Promise<BrokerServiceOptions> {
  const anchors = await anchorsOf(settings);
  const [name = DEFAULT_NAME, ...names] = settings.name ?? [];
  const { log, bundles, clientCa, certificateDays, allowTls13 } = settings;
  return {
    ...(await identityOptions(settings)),
    listen: { host: settings.host ?? "0.0.0.0", port: settings.port ?? 4433 },
    health: { host: settings.healthHost ?? "127.0.0.1", port: settings.healthPort ?? 9433 },
    policyFile: need(settings.policy, "--policy"),
    readPolicy: parseDocument,
    serverNames: [name, ...names],
    anchors,
    collateral: await collateralOf(settings),
    ...(log !== undefined && { logFile: log }),
    ...(certificateDays !== undefined && { certificateDays }),
    ...(allowTls13 !== undefined && { allowTls13 }),
    ...(clientCa !== undefined && { clientCa: (await readCertificate(clientCa)).pem }),
    ...(bundles !== undefined && {
      bundles: bundleFolder(resolve(bundles), await readText(need(settings.ownerKey, "--owner-key"))),
    }),
  };
}

/** Intel's root always; a simulated one beside it only where it is named. */
async function anchorsOf({ simulatedAnchor }: BrokerSettings): Promise<TrustAnchor[]> {
  if (simulatedAnchor === undefined) return [INTEL_ROOT];
  const { der } = await readCertificate(simulatedAnchor);
  return [INTEL_ROOT, { name: "SIMULATED", kind: "simulated", certificate: der }];
}

async function collateralOf(settings: BrokerSettings): Promise<CollateralSettings> {
  const { collateral, qcnl, pccs, pccsCa, allowInsecureTls = false } = settings;
  const authority = pccsCa !== undefined && { tlsAuthority: (await readCertificate(pccsCa)).pem };
  if (collateral !== undefined) {
    await needReadable(collateral);
    return { service: { kind: "file", url: pathToFileURL(resolve(collateral)).href }, maxAgeMs: FILES_MAX_AGE_MS };
  }
  if (qcnl !== undefined) {
    const named = qcnlService(await readQcnl(qcnl), { allowInsecureTls });
    return { ...named, service: { ...named.service, ...authority } };
  }
  if (pccs === undefined) return { service: INTEL_PCS };
  if (!isProtected(new URL(pccs))) {
    throw new InputError("OPTION_REFUSED", {
      what: "the command did not start",
      why: "--pccs is neither HTTPS nor on this machine: whoever sits between could hold newer revocations back",
      remedy: "give an https:// address, and --pccs-ca where its certificate is from your own authority",
    });
  }
  return { service: { kind: "pccs", url: pccs, ...authority } };
}
