import { createHash, type KeyObject } from "node:crypto";
import {
  buildCertificate,
  subjectPublicKeyInfo,
  type DistinguishedName,
  type RawExtension,
} from "@cloister/encoding/x509-builder";
import { encodeClaims, encodeTaggedEvidence, LEGACY_QUOTE_OID, TAGGED_EVIDENCE_OID } from "./evidence.ts";

/** Subject and issuer that Gramine writes. */
const NAME: DistinguishedName = [
  ["CN", "RATLS"],
  ["O", "GramineDevelopers"],
  ["C", "US"],
];

export interface RaTlsCertificateOptions {
  /** P-256, P-384 or RSA-3072. */
  readonly keyPair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  /** Asks the platform for a quote over 64 bytes of report data. Called once for each extension. */
  readonly quote: (reportData: Uint8Array) => Promise<Uint8Array>;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** "legacy" for verifiers before Gramine 1.8, "evidence" for the TCG form alone. Default "both", as Gramine 1.8. */
  readonly extensions?: "both" | "legacy" | "evidence";
  /** Up to 64 bytes that the verifier chose; they go into the claims of the evidence extension. */
  readonly nonce?: Uint8Array;
}

/**
 * A self-signed certificate, DER, whose quotes are bound to its key. Form: Gramine's RA-TLS library, versions 1.0 to 1.9
 * (legacy extension, tagged evidence, or both with a quote each).
 */
export async function createRaTlsCertificate(options: RaTlsCertificateOptions): Promise<Uint8Array> {
  const { keyPair, notBefore, notAfter, extensions = "both", nonce } = options;
  if (nonce !== undefined && extensions === "legacy") throw new RangeError("the legacy extension cannot hold a nonce");
  const publicKeySha256 = sha256(subjectPublicKeyInfo(keyPair.publicKey));
  const extraExtensions: RawExtension[] = [];
  if (extensions !== "evidence") {
    extraExtensions.push({ id: LEGACY_QUOTE_OID, value: await options.quote(padded(publicKeySha256)) });
  }
  if (extensions !== "legacy") {
    const claims = encodeClaims(publicKeySha256, nonce);
    const quote = await options.quote(padded(sha256(claims)));
    extraExtensions.push({ id: TAGGED_EVIDENCE_OID, value: encodeTaggedEvidence(quote, claims) });
  }
  const fields = {
    subject: NAME,
    publicKey: keyPair.publicKey,
    serial: Uint8Array.of(1),
    notBefore,
    notAfter,
    basicConstraints: { ca: false },
    extraExtensions,
  };
  return buildCertificate(fields, { name: NAME, ...keyPair, hash: "sha256" });
}

/** Report data: a digest, then 32 zero bytes. */
function padded(digest: Uint8Array): Uint8Array {
  const reportData = new Uint8Array(64);
  reportData.set(digest);
  return reportData;
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}
