import { randomBytes } from "node:crypto";
import { Secret } from "@cloister/encoding";
import { BrokerError, type BrokerErrorCode } from "../broker-error.ts";
import type { KeySource, KeyVersion } from "../options.ts";
import {
  decodeKeyFile,
  encodeKeyFile,
  headOf,
  keyFileProtection,
  type MasterKeys,
  masterKeys,
  type StoredKey,
} from "./key-file.ts";
import type { KeyProtection } from "./protection.ts";
import { fileMark, readFileWithMark, replaceFile, withFileLock } from "./store-file.ts";
import { refuseWeakKey } from "./weak-key.ts";

const WRAP_KEY_BYTES = 16;
const KEY_ID = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/;
const PINNED = /^(.+)@([1-9]\d{0,5})$/;
/** Ids of the broker's own keys start with it. No policy can name one: its ids start with a letter or digit. */
const OWN = "_";
const MS_PER_SECOND = 1000;

export type KeyListing = Omit<StoredKey, "secret">;

/**
 * Keys in one encrypted file. Wrap keys are made here and leave only as a `Secret`; a change is on the disk before it takes
 * effect. Several processes may have it open: changes take turns, and every one sees what the others changed.
 */
export class KeyStore implements KeySource {
  readonly #path: string;
  readonly #clock: () => Date;
  readonly #master: MasterKeys;
  #keys: readonly StoredKey[];
  #mark: string;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, clock: () => Date, master: MasterKeys, keys: readonly StoredKey[], mark: string) {
    this.#path = path;
    this.#clock = clock;
    this.#master = master;
    this.#keys = keys;
    this.#mark = mark;
  }

  /**
   * Opens the store, or starts an empty one. Takes a moment: a passphrase is stretched, a vault is asked.
   * Throws KEY_STORE_LOCKED, KEY_STORE_DAMAGED, KEY_PROTECTION_UNAVAILABLE and errors of the file system.
   */
  static async open(options: { path: string; protection: KeyProtection; clock?: () => Date }): Promise<KeyStore> {
    const { path, protection, clock = () => new Date() } = options;
    const seen = await readFileWithMark(path);
    if (seen.bytes !== undefined) {
      const head = keyFileProtection(seen.bytes);
      const master = masterKeys(head, await protection.open(head));
      return new KeyStore(path, clock, master, decodeKeyFile(seen.bytes, master), seen.mark);
    }
    const { head, master: secret } = await protection.create();
    const master = masterKeys(head, secret);
    // Written at once: of two processes that start a store, one has to win.
    const isOurs = await withFileLock(path, async () => {
      if ((await fileMark(path)) !== "") return false;
      await replaceFile(path, encodeKeyFile([], master));
      return true;
    });
    return isOurs ? new KeyStore(path, clock, master, [], await fileMark(path)) : KeyStore.open(options);
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
    if ((await fileMark(this.#path)) === this.#mark) return;
    const { bytes, mark } = await readFileWithMark(this.#path);
    if (bytes === undefined) throw fail("KEY_STORE_DAMAGED", "its file is gone", "restore it from a copy");
    this.#keys = decodeKeyFile(bytes, this.#master);
    this.#mark = mark;
  }

  /** Changes one after the other; memory follows the disk. */
  async #change(edit: (keys: readonly StoredKey[]) => readonly StoredKey[]): Promise<void> {
    const change = async (): Promise<void> => {
      await this.#refresh();
      const keys = edit(this.#keys);
      await replaceFile(this.#path, encodeKeyFile(keys, this.#master));
      this.#keys = keys;
      this.#mark = await fileMark(this.#path);
    };
    const turn = this.#writing.then(() => withFileLock(this.#path, change));
    this.#writing = turn.catch(() => undefined);
    await turn;
  }
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
const revoked = (): BrokerError =>
  fail("KEY_REVOKED", "the key was revoked or has retired", "name its successor in the policy");

function fail(code: BrokerErrorCode, why: string, remedy: string): BrokerError {
  return new BrokerError(code, { what: "the key store did not do it", why, remedy });
}
