import { createCipheriv, createDecipheriv, createHmac, randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import { asBuffer, fromUtf8, Secret, utf8 } from "@cloister/encoding";
import { canonicalJson, parseCanonicalJson } from "@cloister/encoding/canonical-json";
import { z } from "zod";
import { BrokerError } from "../broker-error.ts";

// Keys at rest: one canonical JSON file. Each secret is AES-256-GCM under a key derived from the passphrase, bound to its id
// and state; an HMAC over the whole file shows a removed, added or exchanged entry.

const SCHEMA = "cloister-keys/1";
/** 64 MiB and about 0.2 s for each guess of a passphrase. */
const SCRYPT = { N: 2 ** 16, r: 8, p: 1, maxmem: 2 ** 27 };
const MAX_FILE_CHARACTERS = 16 << 20;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const base64 = z.base64().max(16_384);

const fileSchema = z.strictObject({
  schema: z.literal(SCHEMA),
  salt: base64,
  keys: z.array(
    z.strictObject({
      id: z.string().min(1).max(128),
      createdAt: z.iso.datetime(),
      revokedAt: z.iso.datetime().nullable(),
      sealed: base64,
    }),
  ),
  mac: base64,
});

export interface StoredKey {
  readonly id: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly revokedAt: string | null;
  readonly secret: Secret;
}

/** The two keys that a passphrase and a salt give; they live as long as the store is open. */
export interface MasterKeys {
  readonly salt: Uint8Array;
  readonly encryption: Secret;
  readonly authentication: Secret;
}

/** Derives the master keys; slow on purpose. */
export function deriveMasterKeys(passphrase: Secret, salt: Uint8Array = randomBytes(32)): MasterKeys {
  const derived = scryptSync(passphrase.reveal(), salt, 64, SCRYPT);
  return {
    salt,
    encryption: new Secret(derived.subarray(0, 32), "key store encryption key"),
    authentication: new Secret(derived.subarray(32), "key store authentication key"),
  };
}

/** The file's bytes. Every secret is encrypted anew under a random nonce. */
export function encodeKeyFile(keys: readonly StoredKey[], master: MasterKeys): Uint8Array {
  const body: Omit<KeyFile, "mac"> = {
    schema: SCHEMA,
    salt: asBuffer(master.salt).toString("base64"),
    keys: keys.map((key) => ({
      id: key.id,
      createdAt: key.createdAt,
      revokedAt: key.revokedAt,
      sealed: seal(key, master).toString("base64"),
    })),
  };
  return utf8(canonicalJson({ ...body, mac: macOf(body, master).toString("base64") }));
}

/** The salt of a file, with which the master keys are derived. Throws KEY_STORE_DAMAGED. */
export function keyFileSalt(bytes: Uint8Array): Uint8Array {
  return Buffer.from(parse(bytes).salt, "base64");
}

/** Reads all keys. Throws KEY_STORE_DAMAGED, or KEY_STORE_LOCKED where the passphrase is wrong or the file was changed. */
export function decodeKeyFile(bytes: Uint8Array, master: MasterKeys): StoredKey[] {
  const { mac, ...body } = parse(bytes);
  const given = Buffer.from(mac, "base64");
  const expected = macOf(body, master);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw locked();
  return body.keys.map(({ id, createdAt, revokedAt, sealed }) => {
    const secret = open({ id, createdAt, revokedAt }, Buffer.from(sealed, "base64"), master);
    return { id, createdAt, revokedAt, secret };
  });
}

type KeyFile = z.infer<typeof fileSchema>;
type KeyHead = Omit<StoredKey, "secret">;

function parse(bytes: Uint8Array): KeyFile {
  const text = bytes.length <= MAX_FILE_CHARACTERS ? fromUtf8(bytes) : undefined;
  try {
    return fileSchema.parse(parseCanonicalJson(text ?? "", { maxLength: MAX_FILE_CHARACTERS, maxDepth: 4 }));
  } catch (cause) {
    throw new BrokerError(
      "KEY_STORE_DAMAGED",
      { what: "the key store was not opened", why: "it is not a key store file", remedy: "restore it from a copy" },
      { cause },
    );
  }
}

function macOf(body: Omit<KeyFile, "mac">, { authentication }: MasterKeys): Buffer {
  return createHmac("sha256", authentication.reveal()).update(canonicalJson(body)).digest();
}

const headBytes = ({ id, createdAt, revokedAt }: KeyHead): Uint8Array =>
  utf8(canonicalJson({ id, createdAt, revokedAt }));

function seal(key: StoredKey, { encryption }: MasterKeys): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", encryption.reveal(), nonce);
  cipher.setAAD(headBytes(key));
  const sealed = Buffer.concat([cipher.update(key.secret.reveal()), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
}

function open(head: KeyHead, sealed: Buffer, { encryption }: MasterKeys): Secret {
  const start = NONCE_BYTES + TAG_BYTES;
  if (sealed.length < start) throw locked();
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", encryption.reveal(), nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(headBytes(head));
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES, start));
  try {
    const bytes = Buffer.concat([decipher.update(sealed.subarray(start)), decipher.final()]);
    return new Secret(new Uint8Array(bytes), `key ${head.id}`);
  } catch (cause) {
    throw locked(cause);
  }
}

function locked(cause?: unknown): BrokerError {
  return new BrokerError(
    "KEY_STORE_LOCKED",
    {
      what: "the key store was not opened",
      why: "the passphrase is not the right one, or the file was changed",
      remedy: "give the passphrase it was made with, or restore the file from a copy",
    },
    { cause },
  );
}
