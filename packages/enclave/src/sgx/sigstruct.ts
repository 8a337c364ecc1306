import { constants, createHash, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { concatBytes } from "@cloister/encoding";
import { EnclaveError } from "../errors.ts";

// SIGSTRUCT (Intel SDM, volume 3D, table 35-20; offsets in gramine.md E.5): 1808 bytes, little-endian.

export const SIGSTRUCT_BYTES = 1808;
const KEY_BYTES = 384;
const EXPONENT = 3n;
const HEADER_1 = [0x06, 0, 0, 0, 0xe1, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0, 0];
const HEADER_2 = [0x01, 0x01, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 0x01, 0, 0, 0];
const AT = {
  date: 20,
  header2: 24,
  modulus: 128,
  exponent: 512,
  signature: 516,
  miscSelect: 900,
  miscMask: 904,
  attributeFlags: 928,
  xfrm: 936,
  attributeFlagsMask: 944,
  xfrmMask: 952,
  mrenclave: 960,
  isvProdId: 1024,
  isvSvn: 1026,
  q1: 1040,
  q2: 1424,
} as const;
/** The signature covers these two ranges. */
const SIGNED = [
  [0, 128],
  [900, 1028],
] as const;

const MODE64BIT = 0x4n;
const DEBUG = 0x2n;
const LEGACY_XFRM = 0x3n;
const ALL_ONES = 0xffff_ffff_ffff_ffffn;
/** Extended features whose state is left to the processor unless the manifest says otherwise. */
const DEFAULT_XFRM_MASK = 0xffff_ffff_fff9_ff1bn;
const EXINFO = 1;

/** XFRM bits of the processor features that a manifest can require or disable (`sgx.cpu_features`). */
export const FEATURE_BITS = { avx: 0x4n, avx512: 0xe4n, amx: 0x60000n, mpx: 0x18n, pkru: 0x200n } as const;
export type CpuFeature = keyof typeof FEATURE_BITS;

export interface EnclaveIdentity {
  /** 32 bytes. */
  readonly mrenclave: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly debug: boolean;
  /** `sgx.use_exinfo`. */
  readonly exinfo: boolean;
  readonly cpuFeatures: Readonly<Partial<Record<CpuFeature, "required" | "disabled">>>;
  /** Written into the structure as a day. */
  readonly date: { readonly year: number; readonly month: number; readonly day: number };
}

/** The 256 bytes that the enclave's signer signs. A signing service outside of this program signs exactly these. */
export function signedBytes(identity: EnclaveIdentity): Uint8Array {
  const unsigned = unsignedSigstruct(identity);
  return concatBytes(...SIGNED.map(([start, end]) => unsigned.subarray(start, end)));
}

/** A complete SIGSTRUCT, signed with an RSA-3072 key of exponent 3. Throws `SIGNING_KEY_UNSUITABLE`. */
export function signEnclave(identity: EnclaveIdentity, privateKey: KeyObject): Uint8Array {
  checkKey(privateKey);
  const signature = sign("sha256", signedBytes(identity), { key: privateKey, padding: constants.RSA_PKCS1_PADDING });
  return assemble(identity, createPublicKey(privateKey), new Uint8Array(signature));
}

/**
 * What `signEnclave` would have made, from a signature (big-endian) over `signedBytes` that was made elsewhere. Throws
 * `SIGNING_KEY_UNSUITABLE`, and `SIGNATURE_WRONG` where it is not that key's.
 */
export function assembleSigstruct(identity: EnclaveIdentity, publicKey: KeyObject, signature: Uint8Array): Uint8Array {
  checkKey(publicKey);
  const key = { key: publicKey, padding: constants.RSA_PKCS1_PADDING };
  if (verify("sha256", signedBytes(identity), key, signature)) return assemble(identity, publicKey, signature);
  throw new EnclaveError("SIGNATURE_WRONG", {
    what: "the enclave was not signed",
    why: "the signature is not one of the given public key over this enclave",
    remedy: "let the command use the key of --public-key, with PKCS#1 v1.5 and SHA-256 over its whole input",
  });
}

function assemble(identity: EnclaveIdentity, publicKey: KeyObject, signature: Uint8Array): Uint8Array {
  const modulus = modulusOf(publicKey);
  const s = toBigInt(signature);
  const n = toBigInt(modulus);
  const sigstruct = unsignedSigstruct(identity);
  sigstruct.set(modulus.toReversed(), AT.modulus);
  new DataView(sigstruct.buffer).setUint32(AT.exponent, Number(EXPONENT), true);
  sigstruct.set(signature.toReversed(), AT.signature);
  // Helpers that spare the processor two divisions.
  sigstruct.set(littleEndian((s * s) / n), AT.q1);
  sigstruct.set(littleEndian((((s * s) % n) * s) / n), AT.q2);
  return sigstruct;
}

/** MRSIGNER (32 bytes): SHA-256 of the modulus as SIGSTRUCT holds it. Throws `SIGNING_KEY_UNSUITABLE`. */
export function mrsigner(key: KeyObject): Uint8Array {
  checkKey(key);
  return new Uint8Array(createHash("sha256").update(modulusOf(key).toReversed()).digest());
}

function unsignedSigstruct(identity: EnclaveIdentity): Uint8Array {
  const bytes = new Uint8Array(SIGSTRUCT_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(HEADER_1);
  const { year, month, day } = identity.date;
  bytes.set([bcd(day), bcd(month), bcd(year % 100), bcd(Math.floor(year / 100))], AT.date);
  bytes.set(HEADER_2, AT.header2);
  view.setUint32(AT.miscSelect, identity.exinfo ? EXINFO : 0, true);
  view.setUint32(AT.miscMask, 0xffff_ffff, true);
  view.setBigUint64(AT.attributeFlags, MODE64BIT | (identity.debug ? DEBUG : 0n), true);
  view.setBigUint64(AT.attributeFlagsMask, ALL_ONES, true);
  const { required, decided } = features(identity.cpuFeatures);
  view.setBigUint64(AT.xfrm, LEGACY_XFRM | required, true);
  view.setBigUint64(AT.xfrmMask, DEFAULT_XFRM_MASK | decided, true);
  bytes.set(identity.mrenclave, AT.mrenclave);
  view.setUint16(AT.isvProdId, identity.isvProdId, true);
  view.setUint16(AT.isvSvn, identity.isvSvn, true);
  return bytes;
}

function features(wanted: EnclaveIdentity["cpuFeatures"]): { required: bigint; decided: bigint } {
  let required = 0n;
  let decided = 0n;
  for (const [name, state] of Object.entries(wanted)) {
    const bits = FEATURE_BITS[name as CpuFeature];
    decided |= bits;
    if (state === "required") required |= bits;
  }
  return { required, decided };
}

function checkKey(key: KeyObject): void {
  const { modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "rsa" && modulusLength === KEY_BYTES * 8 && publicExponent === EXPONENT) return;
  throw new EnclaveError("SIGNING_KEY_UNSUITABLE", {
    what: "the enclave was not signed",
    why: "SGX takes RSA keys of 3072 bits with the exponent 3 only",
    remedy: "make one with: openssl genrsa -3 3072",
  });
}

/** Big-endian, 384 bytes. */
function modulusOf(key: KeyObject): Uint8Array {
  const { n = "" } = (key.type === "private" ? createPublicKey(key) : key).export({ format: "jwk" });
  return new Uint8Array(Buffer.from(n, "base64url"));
}

function toBigInt(bigEndian: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bigEndian).toString("hex")}`);
}

function littleEndian(value: bigint): Uint8Array {
  const hex = value.toString(16).padStart(KEY_BYTES * 2, "0");
  return new Uint8Array(Buffer.from(hex, "hex")).reverse();
}

function bcd(value: number): number {
  return Math.floor(value / 10) * 16 + (value % 10);
}
