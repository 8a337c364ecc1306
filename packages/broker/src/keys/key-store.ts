import { randomBytes } from "node:crypto";
import { Secret } from "@cloister/encoding";
import { BrokerError, type BrokerErrorCode } from "../broker-error.ts";
import type { KeySource, KeyVersion } from "../options.ts";
import { fileKeyStorage } from "./file-key-storage.ts";
import {
  decodeKeyFile,
  encodeKeyFile,
  headOf,
  type KeyDocument,
  keyFileProtection,
  type MasterKeys,
  masterKeys,
  type StoredKey,
} from "./key-file.ts";
import type { KeyStorage, SeenDocument } from "./key-storage.ts";
import type { KeyProtection } from "./protection.ts";
import { refuseWeakKey } from "./weak-key.ts";

const WRAP_KEY_BYTES = 16;
const KEY_ID = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/;
const PINNED = /^(.+)@([1-9]\d{0,5})$/;
/** Ids of the broker's own keys start with it. No policy can name one: its ids start with a letter or digit. */
const OWN = "_";
const MS_PER_SECOND = 1000;
const EMPTY: KeyDocument = { revision: 1, keys: [] };

export type KeyListing = Omit<StoredKey, "secret">;

/**
 * Keys in one encrypted document. Wrap keys are made here and leave only as a `Secret`; a change is durable before it takes
 * effect. Several processes may have it open: changes take turns, and every one sees what the others changed.
 */
export class KeyStore implements KeySource {
  readonly #storage: KeyStorage;
  readonly #clock: () => Date;
  readonly #master: MasterKeys;
  #keys: readonly StoredKey[];
  #revision: number;
  #mark: string;
  #writing: Promise<void> = Promise.resolve();

  private constructor(
    storage: KeyStorage,
    clock: () => Date,
    master: MasterKeys,
    { keys, revision }: KeyDocument,
    mark: string,
  ) {
    this.#storage = storage;
    this.#clock = clock;
    this.#master = master;
    this.#keys = keys;
    this.#revision = revision;
    this.#mark = mark;
  }

  /**
   * Opens the store of a file or of storage that several brokers share, or starts an empty one. Takes a moment: a passphrase is
   * stretched, a vault is asked.
   * Throws KEY_STORE_LOCKED, KEY_STORE_DAMAGED, KEY_PROTECTION_UNAVAILABLE and errors of the storage.
   */
  static async open(
    options: ({ path: string } | { storage: KeyStorage }) & { protection: KeyProtection; clock?: () => Date },
  ): Promise<KeyStore> {
    const { protection, clock = () => new Date() } = options;
    const storage = "storage" in options ? options.storage : fileKeyStorage(options.path);
    const seen = await storage.read();
    if (seen.bytes === undefined) {
      const { master, mark, isOurs } = await start(storage, protection);
      if (isOurs) return new KeyStore(storage, clock, master, EMPTY, mark);
    }
    const { bytes, mark } = seen.bytes === undefined ? await storage.read() : seen;
    if (bytes === undefined) throw gone();
    const head = keyFileProtection(bytes);
    const master = masterKeys(head, await protection.open(head));
    return new KeyStore(storage, clock, master, decodeKeyFile(bytes, master), mark);
  }

  /** Ids, versions and states, no secrets. */
  async list(): Promise<readonly KeyListing[]> {
    await this.#refresh();
    return this.#keys.filter(({ id }) => !id.startsWith(OWN)).map(headOf);
  }

  /** A copy of the newest secret, or of the version that `id@version` names. Throws KEY_UNKNOWN or KEY_REVOKED. */
  async secret(keyId: string): Promise<Secret> {
    const [newest, ...others] = await this.versions(keyId);
    for (const { secret } of others) secret.wipe();
    if (newest === undefined) throw revoked();
    return newest.secret;
  }

  async versions(keyId: string): Promise<readonly KeyVersion[]> {
    await this.#refresh();
    const { id, version } = parseKeyId(keyId);
    const known = this.#keys.filter((key) => key.id === id && (version === undefined || key.version === version));
    if (known.length === 0 || id.startsWith(OWN)) throw unknown();
    const now = this.#clock();
    const valid = known.filter(
      ({ revokedAt, retiresAt }) => revokedAt === null && (retiresAt === null || now < new Date(retiresAt)),
    );
    if (valid.length === 0) throw revoked();
    return valid
      .toSorted((a, b) => b.version - a.version)
      .map((key) => ({ keyId: `${key.id}@${key.version}`, secret: copyOf(key) }));
  }

  /** Makes a new random wrap key. Throws KEY_EXISTS or KEY_FORM_MISMATCH for an id that is none. */
  async generate(keyId: string): Promise<void> {
    await this.#add(keyId, newWrapKey(keyId));
  }

  /**
   * Takes a secret from elsewhere: a wrap key of 16 bytes, or a text. Throws as `generate`, and KEY_PUBLISHED or KEY_WEAK for a
   * wrap key that nobody drew at random.
   */
  async import(keyId: string, secret: Secret): Promise<void> {
    if (secret.length === WRAP_KEY_BYTES) refuseWeakKey(secret.reveal());
    await this.#add(keyId, new Secret(secret.reveal().slice(), `key ${keyId}`));
  }

  /**
   * Makes the next version. The one before is given out by its version, and to enclaves of this system beside the new one, for
   * `overlapSeconds` more. Returns the new version. Throws KEY_UNKNOWN.
   */
  async rotate(keyId: string, overlapSeconds: number): Promise<number> {
    let version = 0;
    await this.#change((keys) => {
      const older = keys.filter(({ id }) => id === keyId);
      if (older.length === 0) throw unknown();
      version = Math.max(...older.map((key) => key.version)) + 1;
      const now = this.#clock();
      const retiresAt = new Date(now.getTime() + overlapSeconds * MS_PER_SECOND).toISOString();
      const retired = keys.map((key) => (key.id === keyId && key.retiresAt === null ? { ...key, retiresAt } : key));
      return [...retired, { ...this.#head(keyId), version, secret: newWrapKey(keyId) }];
    });
    return version;
  }

  /** No release of it (all versions, or the one named) any more, from when this resolves. Throws KEY_UNKNOWN. */
  async revoke(keyId: string): Promise<void> {
    const { id, version } = parseKeyId(keyId);
    const revokedAt = this.#clock().toISOString();
    await this.#change((keys) => {
      const isMeant = (key: StoredKey): boolean => key.id === id && (version === undefined || key.version === version);
      if (!keys.some(isMeant) || id.startsWith(OWN)) throw unknown();
      return keys.map((key) => (isMeant(key) ? { ...key, revokedAt: key.revokedAt ?? revokedAt } : key));
    });
  }

  /** A key of the broker itself (authority, log), made where it is not there yet. No policy can name it. */
  async keep(name: string, make: () => Secret): Promise<Secret> {
    await this.#refresh();
    const id = `${OWN}${name}`;
    const find = (): StoredKey | undefined => this.#keys.find((key) => key.id === id);
    if (find() === undefined) {
      await this.#change((keys) =>
        keys.some((key) => key.id === id) ? keys : [...keys, { ...this.#head(id), secret: make() }],
      );
    }
    const key = find();
    if (key === undefined) throw unknown();
    return copyOf(key);
  }

  #head(id: string): Omit<StoredKey, "secret"> {
    return { id, version: 1, createdAt: this.#clock().toISOString(), retiresAt: null, revokedAt: null };
  }

  async #add(id: string, secret: Secret): Promise<void> {
    if (!KEY_ID.test(id))
      throw fail("KEY_FORM_MISMATCH", "the id has characters it may not have", "use letters and digits");
    await this.#change((keys) => {
      if (keys.some((key) => key.id === id)) throw fail("KEY_EXISTS", "there is a key of that id", "rotate it");
      return [...keys, { ...this.#head(id), secret }];
    });
  }

  /** Takes over what another process changed. */
  async #refresh(): Promise<void> {
    if ((await this.#storage.mark()) !== this.#mark) this.#adopt(await this.#storage.read());
  }

  #adopt({ bytes, mark }: SeenDocument): void {
    if (bytes === undefined) throw gone();
    const { keys, revision } = decodeKeyFile(bytes, this.#master);
    if (revision < this.#revision) {
      // A key that was revoked since would come back to life.
      throw fail("KEY_STORE_DAMAGED", "it is older than the one seen before", "restore the newest copy");
    }
    this.#keys = keys;
    this.#revision = revision;
    this.#mark = mark;
  }

  /** Changes one after the other; memory follows the storage. */
  async #change(edit: (keys: readonly StoredKey[]) => readonly StoredKey[]): Promise<void> {
    const change = async (): Promise<void> => {
      let [keys, revision] = [this.#keys, this.#revision];
      const mark = await this.#storage.update(async (seen) => {
        if (seen.mark !== this.#mark) this.#adopt(seen);
        keys = edit(this.#keys);
        revision = this.#revision + 1;
        return Promise.resolve(encodeKeyFile({ revision, keys }, this.#master));
      });
      this.#keys = keys;
      this.#revision = revision;
      this.#mark = mark;
    };
    const turn = this.#writing.then(change);
    this.#writing = turn.catch(() => undefined);
    await turn;
  }
}

/** Writes an empty store at once: of several processes that start one, the first wins. */
async function start(storage: KeyStorage, protection: KeyProtection) {
  const { head, master: secret } = await protection.create();
  const master = masterKeys(head, secret);
  let isOurs = false;
  const mark = await storage.update(({ bytes }) => {
    isOurs = bytes === undefined;
    return Promise.resolve(isOurs ? encodeKeyFile(EMPTY, master) : undefined);
  });
  return { master, mark, isOurs };
}

function parseKeyId(keyId: string): { id: string; version: number | undefined } {
  const [, id, version] = PINNED.exec(keyId) ?? [];
  return id === undefined ? { id: keyId, version: undefined } : { id, version: Number(version) };
}

function newWrapKey(id: string): Secret {
  return new Secret(new Uint8Array(randomBytes(WRAP_KEY_BYTES)), `key ${id}`);
}

function copyOf({ secret }: StoredKey): Secret {
  return new Secret(secret.reveal().slice(), secret.label);
}

const unknown = (): BrokerError =>
  fail("KEY_UNKNOWN", "the store has no key of that id", "make it, or correct the policy");
const gone = (): BrokerError => fail("KEY_STORE_DAMAGED", "it is gone", "restore it from a copy");
const revoked = (): BrokerError =>
  fail("KEY_REVOKED", "the key was revoked or has retired", "name its successor in the policy");

function fail(code: BrokerErrorCode, why: string, remedy: string): BrokerError {
  return new BrokerError(code, { what: "the key store did not do it", why, remedy });
}
