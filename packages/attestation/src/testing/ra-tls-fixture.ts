import { createHash, generateKeyPairSync, type KeyObject } from "node:crypto";
import { buildCertificate, type DistinguishedName, type RawExtension } from "@cloister/encoding/x509-builder";
import { encodeTaggedEvidence, LEGACY_QUOTE_OID, TAGGED_EVIDENCE_OID } from "../ra-tls/evidence.ts";
import { createSimulatedPlatform, type SimulatedQuoteOptions } from "../simulated/index.ts";

// What the RA-TLS tests share: one platform, and certificates with any content, right or wrong.

export const NOW = new Date("2026-03-10T12:00:00Z");
export const NOT_BEFORE = new Date("2026-03-10T00:00:00Z");
export const NOT_AFTER = new Date("2026-03-20T00:00:00Z");
export const platform = createSimulatedPlatform({ now: NOW });
export const anchors = [platform.trustAnchor];
export const collateral = platform.collateral();
const NAME: DistinguishedName = [["CN", "RATLS"]];

export interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export function p256(): Pair {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

/** A quote of the one enclave of these tests, or of one that differs in the given fields. */
export function quoteOver(reportData: Uint8Array, changes: Partial<SimulatedQuoteOptions> = {}): Uint8Array {
  const enclave = { mrenclave: new Uint8Array(32).fill(0xe1), mrsigner: new Uint8Array(32).fill(0x51), isvProdId: 7 };
  return platform.quote({ ...enclave, reportData, ...changes });
}

export function spkiOf({ publicKey }: Pair): Uint8Array {
  return new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

/** A well-formed certificate that carries whatever the test wants. `signer` defaults to the key in it. */
export function certificateWith(
  pair: Pair,
  extraExtensions: readonly RawExtension[],
  options: { readonly signer?: Pair; readonly issuer?: DistinguishedName } = {},
): Uint8Array {
  const fields = {
    subject: NAME,
    publicKey: pair.publicKey,
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    extraExtensions,
  };
  return buildCertificate(fields, { name: options.issuer ?? NAME, ...(options.signer ?? pair), hash: "sha256" });
}

export function legacyExtension(quote: Uint8Array, id: string = LEGACY_QUOTE_OID): RawExtension {
  return { id, value: quote };
}

/** The evidence extension over any claims, with a quote that is bound to them unless the test gives another one. */
export function evidenceExtension(claims: Uint8Array, quote: Uint8Array = quoteOver(sha256(claims))): RawExtension {
  return { id: TAGGED_EVIDENCE_OID, value: encodeTaggedEvidence(quote, claims) };
}
