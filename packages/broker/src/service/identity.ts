import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { access, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { asBuffer, Secret, utf8 } from "@cloister/encoding";
import type { CertificateAuthority } from "../certificates/authority.ts";
import { fileKeyStorage } from "../keys/file-key-storage.ts";
import type { KeyStorage } from "../keys/key-storage.ts";
import { KeyStore } from "../keys/key-store.ts";
import type { KeyProtection } from "../keys/protection.ts";
import { type BrokerStore, openStore, type StoreSettings } from "../store/store.ts";
import { openOwnAuthority } from "./own-certificates.ts";

/** Where a state folder keeps what peers and auditors need. */
export const STATE_FILES = {
  /** Keys, release log and policy; or, where they are there already, the two files after it. */
  database: "broker.db",
  keys: "keys.json",
  log: "release.log",
  authority: "ca.pem",
  logKey: "log-key.pem",
  /** A folder of sets. */
  collateral: "collateral",
} as const;

/** Where a broker's keys are, and what opens them. */
export interface IdentityOptions {
  /** Folder for authority, release log and keys; made with mode 0700. */
  readonly stateDir: string;
  /** Default: in the store, or `keys.json` in the state folder where there is none. */
  readonly keysFile?: string;
  readonly protection: KeyProtection;
  /** A database for what has no file of its own. */
  readonly store?: StoreSettings;
  readonly clock?: () => Date;
}

/** Where a state folder keeps keys and log: in its database, unless they lie there in the two files of earlier versions. */
export async function storeIn(stateDir: string): Promise<StoreSettings | undefined> {
  const has = (name: string): Promise<boolean> => isThere(join(stateDir, name));
  const hasFiles = (await has(STATE_FILES.keys)) || (await has(STATE_FILES.log));
  if (hasFiles && !(await has(STATE_FILES.database))) return undefined;
  return { path: join(stateDir, STATE_FILES.database) };
}

export const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Where the keys are: in a file that is named, else in the store, else in the state folder. */
export function keyStorageOf(
  { keysFile, stateDir }: Pick<IdentityOptions, "keysFile" | "stateDir">,
  store: BrokerStore | undefined,
): KeyStorage {
  if (keysFile === undefined && store !== undefined) return store.keyStorage;
  return fileKeyStorage(keysFile ?? join(stateDir, STATE_FILES.keys));
}

/** What a broker is before it has a policy. The private halves lie in the key store, encrypted. */
export interface BrokerIdentity {
  readonly keys: KeyStore;
  /** Open; whoever asked for the identity closes it. */
  readonly store: BrokerStore | undefined;
  readonly authority: CertificateAuthority;
  readonly signingKey: KeyObject;
  /** PEM of the key that the release log is signed with. */
  readonly logKey: string;
}

/** Opens all of it, or makes what is not there yet, and writes the public halves to the state folder. */
export async function openIdentity(options: IdentityOptions): Promise<BrokerIdentity> {
  const { stateDir, protection, clock = () => new Date() } = options;
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const store = options.store && (await openStore(options.store));
  try {
    const keys = await KeyStore.open({ storage: keyStorageOf(options, store), protection, clock });
    const authority = await openOwnAuthority(keys, { name: "Cloister broker CA", now: clock() });
    const signingKey = await openLogKey(keys);
    const logKey = publicPem(signingKey);
    await writeFile(join(stateDir, STATE_FILES.authority), authority.certificate);
    await writeFile(join(stateDir, STATE_FILES.logKey), logKey);
    return { keys, store, authority, signingKey, logKey };
  } catch (error) {
    await store?.close();
    throw error;
  }
}

/**
 * Makes a broker's authority, key store and log key without starting it, so that an enclave can be measured with them before there
 * is a policy. What is there stays. Resolves with the PEM of the authority and of the log's key.
 */
export async function makeIdentity(options: IdentityOptions): Promise<{ authority: string; logKey: string }> {
  const { authority, logKey, store } = await openIdentity(options);
  await store?.close();
  return { authority: authority.certificate, logKey };
}

async function openLogKey(keys: KeyStore): Promise<KeyObject> {
  const kept = await keys.keep("log-key", () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    return new Secret(utf8(privateKey.export({ type: "pkcs8", format: "pem" }) as string), "log key");
  });
  try {
    return createPrivateKey(asBuffer(kept.reveal()));
  } finally {
    kept.wipe();
  }
}

function publicPem(key: KeyObject): string {
  return createPublicKey(key).export({ type: "spki", format: "pem" }) as string;
}
