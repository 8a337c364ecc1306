import { randomBytes } from "node:crypto";
import { equalBytes, Secret } from "@cloister/encoding";
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
import { fileKeyStorage, type KeyStorage, type StoredDocument } from "./key-storage.ts";

const WRAP_KEY_BYTES = 16;
const KEY_ID = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/;

/** Other brokers that write at the same moment may win a few times in a row. */
const MAX_ATTEMPTS = 20;

/**
 * Keys in one encrypted document, in a file or in storage that several brokers share. Wrap keys are made here and leave only
 * as a `Secret`; a change is durable before it takes effect, and another broker's change is seen by the next `secret`.
 */
export class KeyStore implements KeySource {
  readonly #storage: KeyStorage;
  readonly #passphrase: Secret;
  readonly #clock: () => Date;
  #master: MasterKeys;
  #keys: readonly StoredKey[] = [];
  #version: number | undefined;
  #turn: Promise<void> = Promise.resolve();

  private constructor(storage: KeyStorage, passphrase: Secret, master: MasterKeys, clock: () => Date) {
    this.#storage = storage;
    this.#passphrase = passphrase;
    this.#master = master;
    this.#clock = clock;
  }

  /**
   * Opens the store, or starts an empty one that is written with its first key. Takes a moment: the passphrase is stretched.
   * Throws KEY_STORE_LOCKED, KEY_STORE_DAMAGED and errors of the file system.
   */
  static async open(
    options: ({ path: string } | { storage: KeyStorage }) & { passphrase: Secret; clock?: () => Date },
  ): Promise<KeyStore> {
    const { passphrase, clock = () => new Date() } = options;
    const storage = "storage" in options ? options.storage : fileKeyStorage(options.path);
    const document = await storage.read();
    const salt = document === undefined ? undefined : keyFileSalt(document.bytes);
    const store = new KeyStore(storage, passphrase, deriveMasterKeys(passphrase, salt), clock);
    if (document !== undefined) store.#adopt(document);
    return store;
  }

  /** Ids and states, no secrets. */
  list(): readonly Omit<StoredKey, "secret">[] {
    return this.#keys.map(({ id, createdAt, revokedAt }) => ({ id, createdAt, revokedAt }));
  }

  /** A copy of the secret. Throws KEY_UNKNOWN or KEY_REVOKED. */
  async secret(keyId: string): Promise<Secret> {
    await this.#refresh();
    const key = this.#find(keyId);
    if (key.revokedAt !== null) throw fail("KEY_REVOKED", "the key was revoked", "name its successor in the policy");
    return new Secret(key.secret.reveal().slice(), key.secret.label);
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

  /** Changes one after the other; memory follows the storage. */
  async #change(edit: (keys: readonly StoredKey[]) => readonly StoredKey[]): Promise<void> {
    await this.#inTurn(async () => {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
        if (await this.#storage.hasChanged(this.#version)) await this.#load();
        const keys = edit(this.#keys);
        const version = await this.#storage.replace(encodeKeyFile(keys, this.#master), this.#version);
        if (version === undefined) continue;
        this.#keys = keys;
        this.#version = version;
        return;
      }
      throw fail("KEY_STORE_BUSY", "other brokers changed it at the same moments", "try again");
    });
  }

  async #refresh(): Promise<void> {
    if (!(await this.#storage.hasChanged(this.#version))) return;
    await this.#inTurn(async () => {
      if (await this.#storage.hasChanged(this.#version)) await this.#load();
    });
  }

  async #load(): Promise<void> {
    const document = await this.#storage.read();
    if (document !== undefined) this.#adopt(document);
  }

  #adopt(document: StoredDocument): void {
    // A key that was revoked in between would come back to life.
    if (document.version < (this.#version ?? 0)) {
      throw fail("KEY_STORE_DAMAGED", "the stored keys are older than those seen before", "restore the newest copy");
    }
    const salt = keyFileSalt(document.bytes);
    const master = equalBytes(salt, this.#master.salt) ? this.#master : deriveMasterKeys(this.#passphrase, salt);
    this.#keys = decodeKeyFile(document.bytes, master);
    this.#master = master;
    this.#version = document.version;
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    await turn;
  }
}

function fail(code: BrokerErrorCode, why: string, remedy: string): BrokerError {
  return new BrokerError(code, { what: "the key store did not do it", why, remedy });
}
