import { randomBytes } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { Secret } from "@cloister/encoding";
import { BrokerError, type BrokerErrorCode } from "../broker-error.ts";
import type { KeySource } from "../options.ts";
import {
  decodeKeyFile,
  deriveMasterKeys,
  encodeKeyFile,
  keyFileSalt,
  type MasterKeys,
  type StoredKey,
} from "./key-file.ts";

const WRAP_KEY_BYTES = 16;
const KEY_ID = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/;

/**
 * Keys in one encrypted file. Wrap keys are made here and leave only as a `Secret`; a change is on the disk before it takes
 * effect. One process at a time writes a store.
 */
export class KeyStore implements KeySource {
  readonly #path: string;
  readonly #master: MasterKeys;
  readonly #clock: () => Date;
  #keys: readonly StoredKey[];
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, master: MasterKeys, keys: readonly StoredKey[], clock: () => Date) {
    this.#path = path;
    this.#master = master;
    this.#keys = keys;
    this.#clock = clock;
  }

  /**
   * Opens the store, or starts an empty one that is written with its first key. Takes a moment: the passphrase is stretched.
   * Throws KEY_STORE_LOCKED, KEY_STORE_DAMAGED and errors of the file system.
   */
  static async open(options: { path: string; passphrase: Secret; clock?: () => Date }): Promise<KeyStore> {
    const { path, passphrase, clock = () => new Date() } = options;
    const bytes = await readIfThere(path);
    if (bytes === undefined) return new KeyStore(path, deriveMasterKeys(passphrase), [], clock);
    const master = deriveMasterKeys(passphrase, keyFileSalt(bytes));
    return new KeyStore(path, master, decodeKeyFile(bytes, master), clock);
  }

  /** Ids and states, no secrets. */
  list(): readonly Omit<StoredKey, "secret">[] {
    return this.#keys.map(({ id, createdAt, revokedAt }) => ({ id, createdAt, revokedAt }));
  }

  /** A copy of the secret. Throws KEY_UNKNOWN or KEY_REVOKED. */
  async secret(keyId: string): Promise<Secret> {
    const key = this.#find(keyId);
    if (key.revokedAt !== null) throw fail("KEY_REVOKED", "the key was revoked", "name its successor in the policy");
    return Promise.resolve(new Secret(key.secret.reveal().slice(), key.secret.label));
  }

  /** Makes a new random wrap key. Throws KEY_EXISTS or KEY_FORM_MISMATCH for an id that is none. */
  async generate(keyId: string): Promise<void> {
    await this.#add(keyId, new Secret(new Uint8Array(randomBytes(WRAP_KEY_BYTES)), `key ${keyId}`));
  }

  /** Takes a secret from elsewhere, for example a string secret. Throws as `generate`. */
  async import(keyId: string, secret: Secret): Promise<void> {
    await this.#add(keyId, new Secret(secret.reveal().slice(), `key ${keyId}`));
  }

  /** No release of it any more, from when this resolves. Throws KEY_UNKNOWN. */
  async revoke(keyId: string): Promise<void> {
    await this.#change((keys) => {
      const key = this.#find(keyId);
      return keys.with(keys.indexOf(key), { ...key, revokedAt: key.revokedAt ?? this.#clock().toISOString() });
    });
  }

  #find(keyId: string): StoredKey {
    const key = this.#keys.find(({ id }) => id === keyId);
    if (key === undefined)
      throw fail("KEY_UNKNOWN", "the store has no key of that id", "make it, or correct the policy");
    return key;
  }

  async #add(id: string, secret: Secret): Promise<void> {
    if (!KEY_ID.test(id))
      throw fail("KEY_FORM_MISMATCH", "the id has characters it may not have", "use letters and digits");
    await this.#change((keys) => {
      if (keys.some((key) => key.id === id)) throw fail("KEY_EXISTS", "there is a key of that id", "choose another id");
      return [...keys, { id, createdAt: this.#clock().toISOString(), revokedAt: null, secret }];
    });
  }

  /** Changes one after the other; memory follows the disk. */
  async #change(edit: (keys: readonly StoredKey[]) => readonly StoredKey[]): Promise<void> {
    const turn = this.#writing.then(async () => {
      const keys = edit(this.#keys);
      await replaceFile(this.#path, encodeKeyFile(keys, this.#master));
      this.#keys = keys;
    });
    this.#writing = turn.catch(() => undefined);
    await turn;
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function fail(code: BrokerErrorCode, why: string, remedy: string): BrokerError {
  return new BrokerError(code, { what: "the key store did not do it", why, remedy });
}
