import type { Certificate } from "@cloister/encoding/x509";
import { rawEcdsaSignature } from "../appraisal/ecdsa-signature.ts";
import { verifySignature, type Steps } from "../appraisal/steps.ts";

/** Whether `item` is signed by `issuer`'s key. Malformed signatures are not. */
export function* isSignedBy(
  item: { readonly tbs: Uint8Array; readonly signature: Uint8Array },
  issuer: Certificate,
): Steps<boolean> {
  let signature: Uint8Array | undefined;
  try {
    signature = rawEcdsaSignature(item.signature);
  } catch {
    return false;
  }
  return signature !== undefined && (yield* verifySignature(issuer.publicKey, item.tbs, signature));
}
