import type { Explanation } from "@cloister/encoding";
import { nameAttribute, COMMON_NAME, type DistinguishedName } from "@cloister/encoding/x509";

export type ItemKind =
  | "quote"
  | "ra-tls-certificate"
  | "pck-certificate"
  | "certificate"
  | "certificate-chain"
  | "crl"
  | "tcb-info"
  | "qe-identity"
  | "collateral";

/** A value for people and for JSON. Nothing in it was verified. */
export type Detail = string | number | boolean | null | readonly Detail[] | { readonly [name: string]: Detail };

/** What is in an item. */
export interface Inspection {
  readonly kind: ItemKind;
  /** The item in its binary form; of PEM with one block the DER. */
  readonly bytes: Uint8Array;
  readonly details: { readonly [name: string]: Detail };
}

/** Codes of the inspection. */
export type InspectErrorCode = "ITEM_UNKNOWN";

export const INSPECT_EXPLANATIONS: Readonly<Record<InspectErrorCode, Explanation>> = {
  ITEM_UNKNOWN: {
    what: "nothing to show",
    why: "it is no quote, certificate, revocation list, TCB info, QE identity or collateral that can be read",
    remedy: "give the item itself: binary, PEM, hex, base64 or JSON",
  },
};

/** Text of others without what could steer a terminal, and not too long. */
export function printable(text: string): string {
  const shown = text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, "?");
  return shown.length > 200 ? `${shown.slice(0, 200)}…` : shown;
}

/** Common name, or how many attributes a name without one has. */
export function nameText(name: DistinguishedName): string {
  const commonName = nameAttribute(name, COMMON_NAME);
  return commonName === undefined ? `(${name.attributes.length} attributes)` : printable(commonName);
}
