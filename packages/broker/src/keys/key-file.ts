import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { fromUtf8, Secret, utf8 } from "@cloister/encoding";
import { canonicalJson, parseCanonicalJson } from "@cloister/encoding/canonical-json";
import { z } from "zod";
import { BrokerError } from "../broker-error.ts";
import type { ProtectionHead } from "./protection.ts";

// Keys at rest: one canonical JSON file. Each secret is AES-256-GCM under the store's master key, bound to its id, version and
// state; an HMAC over the whole file shows a removed, added or exchanged entry.

const SCHEMA = "cloister-keys/1";
const MAX_FILE_CHARACTERS = 16 << 20;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const base64 = z.base64().max(16_384);

const fileSchema = z.strictObject({
  schema: z.literal(SCHEMA),
  revision: z.int().min(1),
  protection: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("passphrase"), salt: base64 }),
    z.strictObject({
      kind: z.literal("vault-transit"),
      mount: z.string().max(128),
      key: z.string().max(128),
      wrapped: z.string().max(4096),
    }),
  ]),
  keys: z.array(
    z.strictObject({
      id: z.string().min(1).max(128),
      version: z.int().min(1).max(1_000_000),
      createdAt: z.iso.datetime(),
      retiresAt: z.iso.datetime().nullable(),
      revokedAt: z.iso.datetime().nullable(),
      sealed: base64,
    }),
  ),
  mac: base64,
});

/** One version of a key. A key of this system's own (see `KeyStore.keep`) has version 1 and an id that no policy can name. */
export interface StoredKey {
  readonly id: string;
  /** 1, and one more with each rotation. */
  readonly version: number;
  /** RFC 3339. */
  readonly createdAt: string;
  /** From then on this version is not given out, because a newer one is there; null: it is the newest. */
  readonly retiresAt: string | null;
  readonly revokedAt: string | null;
  readonly secret: Secret;
}

/** All keys of a store. */
export interface KeyDocument {
  /** Counts changes, under the HMAC: a document that was put back does not pass for a newer one. */
  readonly revision: number;
  readonly keys: readonly StoredKey[];
}

/** The two keys that a store works with; they live as long as it is open. */
export interface MasterKeys {
  readonly head: ProtectionHead;
  readonly encryption: Secret;
  readonly authentication: Secret;
}

/** Splits a master key of 64 bytes. */
export function masterKeys(head: ProtectionHead, master: Secret): MasterKeys {
  return {
    head,
    encryption: new Secret(master.reveal().subarray(0, 32), "key store encryption key"),
    authentication: new Secret(master.reveal().subarray(32), "key store authentication key"),
  };
}

/** The file's bytes. Every secret is encrypted anew under a random nonce. */
export function encodeKeyFile({ revision, keys }: KeyDocument, master: MasterKeys): Uint8Array {
  const body: Omit<KeyFile, "mac"> = {
    schema: SCHEMA,
    revision,
    protection: master.head,
    keys: keys.map((key) => Object.assign(headOf(key), { sealed: seal(key, master).toString("base64") })),
  };
  return utf8(canonicalJson({ ...body, mac: macOf(body, master).toString("base64") }));
}

/** How the master key of a file is had. Throws KEY_STORE_DAMAGED. */
export function keyFileProtection(bytes: Uint8Array): ProtectionHead {
  return parse(bytes).protection;
}

/** Reads all keys. Throws KEY_STORE_DAMAGED, or KEY_STORE_LOCKED where the passphrase is wrong or the file was changed. */
export function decodeKeyFile(bytes: Uint8Array, master: MasterKeys): KeyDocument {
  const { mac, ...body } = parse(bytes);
  const given = Buffer.from(mac, "base64");
  const expected = macOf(body, master);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw locked();
  const keys = body.keys.map(({ sealed, ...head }) => openKey(head, Buffer.from(sealed, "base64"), master));
  return { revision: body.revision, keys };
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

/** A key without its secret. */
export const headOf = ({ id, version, createdAt, retiresAt, revokedAt }: KeyHead) => ({
  id,
  version,
  createdAt,
  retiresAt,
  revokedAt,
});

const headBytes = (head: KeyHead): Uint8Array => utf8(canonicalJson(headOf(head)));

function seal(key: StoredKey, { encryption }: MasterKeys): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", encryption.reveal(), nonce);
  cipher.setAAD(headBytes(key));
  const sealed = Buffer.concat([cipher.update(key.secret.reveal()), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
}

function openKey(head: KeyHead, sealed: Buffer, { encryption }: MasterKeys): StoredKey {
  const start = NONCE_BYTES + TAG_BYTES;
  if (sealed.length < start) throw locked();
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", encryption.reveal(), nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(headBytes(head));
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES, start));
  try {
    const bytes = Buffer.concat([decipher.update(sealed.subarray(start)), decipher.final()]);
    return { ...headOf(head), secret: new Secret(new Uint8Array(bytes), `key ${head.id}`) };
  } catch (cause) {
    throw locked(cause);
  }
}

function locked(cause?: unknown): BrokerError {
  return new BrokerError(
    "KEY_STORE_LOCKED",
    {
      what: "the key store was not opened",
      why: "the passphrase or vault key is not the right one, or the file was changed",
      remedy: "open it as it was made, or restore the file from a copy",
    },
    { cause },
  );
}
