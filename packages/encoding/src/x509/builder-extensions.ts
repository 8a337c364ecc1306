import {
  boolean,
  contextExplicit,
  contextPrimitive,
  integer,
  namedBits,
  octetString,
  oid,
  sequence,
} from "../der/writer.ts";
import { utf8 } from "../bytes.ts";
import { encodeAlternativeNames, type AlternativeNames } from "./builder-names.ts";

// Names of KeyUsage bits by number (RFC 5280, section 4.2.1.3).
const KEY_USAGE_BITS = {
  digitalSignature: 0,
  nonRepudiation: 1,
  keyEncipherment: 2,
  dataEncipherment: 3,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
} as const;

const EXTENDED_KEY_USAGES = {
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
} as const;

export type KeyUsage = keyof typeof KEY_USAGE_BITS;
export type ExtendedKeyUsage = keyof typeof EXTENDED_KEY_USAGES;

/** An extension whose value is given as it shall stand inside the OCTET STRING. */
export interface RawExtension {
  /** Dotted identifier. */
  readonly id: string;
  readonly critical?: boolean;
  readonly value: Uint8Array;
}

/** What a certificate may carry beside its key identifiers. */
export interface CertificateExtensions {
  /** Critical. `pathLength` only for a CA. */
  readonly basicConstraints?: { readonly ca: boolean; readonly pathLength?: number };
  /** Critical. */
  readonly keyUsage?: readonly KeyUsage[];
  readonly extendedKeyUsage?: readonly ExtendedKeyUsage[];
  readonly alternativeNames?: AlternativeNames;
  /** URLs of the issuer's revocation list. */
  readonly crlDistributionPoints?: readonly string[];
  /** Written last, in the given order. */
  readonly extraExtensions?: readonly RawExtension[];
}

/** Extension (RFC 5280, section 4.1): the BOOLEAN is left out when false, as DER wants for a default. */
export function encodeExtension(extension: RawExtension): Uint8Array {
  const critical = extension.critical === true ? [boolean(true)] : [];
  return sequence(oid(extension.id), ...critical, octetString(extension.value));
}

/** The asked extensions in a fixed order. */
export function encodeCertificateExtensions(extensions: CertificateExtensions): Uint8Array[] {
  const { basicConstraints, keyUsage, extendedKeyUsage, alternativeNames, crlDistributionPoints } = extensions;
  const list: RawExtension[] = [];
  if (basicConstraints !== undefined) {
    const { ca, pathLength } = basicConstraints;
    const value = sequence(...(ca ? [boolean(true)] : []), ...(pathLength === undefined ? [] : [integer(pathLength)]));
    list.push({ id: "2.5.29.19", critical: true, value });
  }
  if (keyUsage !== undefined) {
    const value = namedBits(keyUsage.map((usage) => KEY_USAGE_BITS[usage]));
    list.push({ id: "2.5.29.15", critical: true, value });
  }
  if (extendedKeyUsage !== undefined) {
    const value = sequence(...extendedKeyUsage.map((usage) => oid(EXTENDED_KEY_USAGES[usage])));
    list.push({ id: "2.5.29.37", value });
  }
  if (alternativeNames !== undefined) list.push({ id: "2.5.29.17", value: encodeAlternativeNames(alternativeNames) });
  if (crlDistributionPoints !== undefined)
    list.push({ id: "2.5.29.31", value: distributionPoints(crlDistributionPoints) });
  return [...list, ...(extensions.extraExtensions ?? [])].map(encodeExtension);
}

/** Subject key identifier (RFC 5280, section 4.2.1.2). */
export function subjectKeyIdentifierExtension(keyIdentifier: Uint8Array): Uint8Array {
  return encodeExtension({ id: "2.5.29.14", value: octetString(keyIdentifier) });
}

/** Authority key identifier with the key identifier only (RFC 5280, section 4.2.1.1). */
export function authorityKeyIdentifierExtension(keyIdentifier: Uint8Array): Uint8Array {
  return encodeExtension({ id: "2.5.29.35", value: sequence(contextPrimitive(0, keyIdentifier)) });
}

/** One DistributionPoint per URL with a fullName (RFC 5280, section 4.2.1.13). */
function distributionPoints(urls: readonly string[]): Uint8Array {
  const uri = (url: string) => contextPrimitive(6, utf8(new URL(url).href));
  return sequence(...urls.map((url) => sequence(contextExplicit(0, contextExplicit(0, uri(url))))));
}
