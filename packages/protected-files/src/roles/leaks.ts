import { createPrivateKey } from "node:crypto";
import { asBuffer, type Secret, toHex } from "@cloister/encoding";
import { toBase64 } from "@cloister/encoding/base64";
import { sha256Hex } from "../bundle/manifest.ts";
import { inspectFile } from "../inspect.ts";
import { KEY_BYTES } from "../kdf.ts";
import { NODE_BYTES } from "../tree.ts";

/** What a file can give away. */
export type Leak = "plaintext model" | "private key" | "wrap key";

/** What the caller knows and does not want to see in a file. */
export interface KnownSecrets {
  /** Wrap keys to look for in raw, hexadecimal and base64 form anywhere in a file. */
  readonly wrapKeys?: readonly Secret[] | undefined;
  /** SHA-256 (hex) of plaintext model files. */
  readonly plaintextSha256?: ReadonlySet<string> | undefined;
}

/**
 * What `bytes` gives away, if anything. A safeguard against mistakes, not against somebody who hides a key: it knows private
 * keys in PEM and DER, wrap keys by value and by their bare shape (16 bytes, or 32 hexadecimal digits), and models by digest, by
 * place (`models/` holds protected files only) and by the marks of common formats.
 */
export function findLeak(path: string, bytes: Uint8Array, known: KnownSecrets = {}): Leak | undefined {
  if (holdsPrivateKey(bytes)) return "private key";
  if (isBareKey(bytes) || (known.wrapKeys ?? []).some((key) => holdsKey(bytes, key))) return "wrap key";
  if (known.plaintextSha256?.has(sha256Hex(bytes)) === true) return "plaintext model";
  if (isProtectedFile(bytes)) return undefined;
  return path.startsWith("models/") || looksLikeModel(path, bytes) ? "plaintext model" : undefined;
}

/** PKCS#8, PKCS#1, SEC 1 and OpenSSH keys all end their PEM label so; `ssl.cfg` files embed it. */
const PEM_LABEL = "PRIVATE KEY-----";
const MAX_DER_KEY_BYTES = 16_384;

function holdsPrivateKey(bytes: Uint8Array): boolean {
  return asBuffer(bytes).includes(PEM_LABEL, 0, "latin1") || isDerPrivateKey(bytes);
}

function isDerPrivateKey(bytes: Uint8Array): boolean {
  if (bytes[0] !== 0x30 || bytes.length > MAX_DER_KEY_BYTES) return false;
  return (["pkcs8", "pkcs1", "sec1"] as const).some((type) => {
    try {
      createPrivateKey({ key: asBuffer(bytes), format: "der", type });
      return true;
    } catch {
      return false;
    }
  });
}

const BARE_HEX_KEY = /^[0-9a-f]{32}[\0\r\n]*$/i;

function isBareKey(bytes: Uint8Array): boolean {
  if (bytes.length === KEY_BYTES) return true;
  return bytes.length < 3 * KEY_BYTES && BARE_HEX_KEY.test(asBuffer(bytes).toString("latin1"));
}

function holdsKey(bytes: Uint8Array, key: Secret): boolean {
  const [buffer, value] = [asBuffer(bytes), key.reveal()];
  const hex = toHex(value);
  // Without the padding and the last digit before it, which depend on what follows in a longer text.
  const base64 = toBase64(value).slice(0, 21);
  return (
    [hex, hex.toUpperCase(), base64].some((text) => buffer.includes(text, 0, "latin1")) ||
    buffer.includes(asBuffer(value))
  );
}

function isProtectedFile(bytes: Uint8Array): boolean {
  try {
    inspectFile(bytes.subarray(0, NODE_BYTES), bytes.length);
    return true;
  } catch {
    return false;
  }
}

const MODEL_NAME = /\.(?:pb|pbtxt|onnx|tflite|h5|hdf5|keras|safetensors|pt|pth|ckpt|data-\d+-of-\d+)$/i;

/** First bytes, at an offset, of model files: SavedModel (schema version 1, then a meta graph), TFLite, HDF5, ONNX (IR version). */
const MARKS: readonly (readonly [offset: number, mark: readonly number[]])[] = [
  [0, [0x08, 0x01, 0x12]],
  [4, [0x54, 0x46, 0x4c, 0x33]],
  [0, [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]],
  ...Array.from({ length: 10 }, (_, index) => [0, [0x08, index + 3, 0x12]] as const),
];

/** Last eight bytes of a table file, as TensorFlow's variable index is one (LevelDB's magic). */
const TABLE_END = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb];

function looksLikeModel(path: string, bytes: Uint8Array): boolean {
  const marked = MARKS.some(([offset, mark]) => mark.every((byte, index) => bytes[offset + index] === byte));
  const table = TABLE_END.every((byte, index) => bytes[bytes.length - TABLE_END.length + index] === byte);
  return MODEL_NAME.test(path) || marked || table;
}
