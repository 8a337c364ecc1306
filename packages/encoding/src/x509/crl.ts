import { DER_TAG, readDer, type DerReader } from "../der/der.ts";
import {
  readAlgorithm,
  readExtensions,
  readSerial,
  sameAlgorithm,
  type AlgorithmIdentifier,
  type Extension,
} from "./fields.ts";
import { x509Malformed } from "./malformed.ts";
import { readName, type DistinguishedName } from "./name.ts";
import { isTime, readTime } from "./time.ts";

/** An X.509 v2 revocation list as written: nothing in it is verified. */
export interface CertificateRevocationList {
  /** The whole list, DER. */
  readonly raw: Uint8Array;
  /** The signed part, DER. */
  readonly tbs: Uint8Array;
  readonly signatureAlgorithm: AlgorithmIdentifier;
  readonly issuer: DistinguishedName;
  readonly thisUpdate: Date;
  readonly nextUpdate?: Date;
  /** Serial numbers as in `Certificate.serial`. */
  readonly revokedSerials: ReadonlySet<string>;
  /** Whether an entry has a critical extension, which could change what the entry means (RFC 5280, 5.3). */
  readonly hasCriticalEntryExtension: boolean;
  readonly extensions: readonly Extension[];
  readonly signature: Uint8Array;
}

const MAX_CRL_BYTES = 1 << 24;
const EXPLICIT_EXTENSIONS = 0xa0;

/**
 * Reads one version 2 revocation list (RFC 5280, 5.1), at most 16 MiB, nothing after it. Syntax only.
 *
 * Throws `EncodingError` DER_MALFORMED, DER_TOO_LARGE or X509_MALFORMED.
 */
export function parseCrl(der: Uint8Array): CertificateRevocationList {
  const outer = readDer(der, { maxBytes: MAX_CRL_BYTES });
  const fields = outer.sequence();
  outer.end();
  const tbsElement = fields.element();
  const outerAlgorithm = readAlgorithm(fields);
  const signature = fields.wholeBitString();
  fields.end();
  const tbs = readTbs(fields.nested(tbsElement, DER_TAG.sequence));
  if (!sameAlgorithm(tbs.signatureAlgorithm, outerAlgorithm)) {
    throw x509Malformed("the signed and the outer signature algorithm differ");
  }
  return { raw: der, tbs: tbsElement.raw, ...tbs, signature };
}

function readTbs(reader: DerReader): Omit<CertificateRevocationList, "raw" | "tbs" | "signature"> {
  if (reader.unsigned(1) !== 1) throw x509Malformed("the revocation list is not version 2");
  const signatureAlgorithm = readAlgorithm(reader);
  const issuer = readName(reader);
  const thisUpdate = readTime(reader);
  const nextUpdate = isTime(reader.peekTag()) ? readTime(reader) : undefined;
  const entries = readEntries(reader.enterOptional(DER_TAG.sequence));
  const explicit = reader.enterOptional(EXPLICIT_EXTENSIONS);
  const extensions = explicit === undefined ? [] : readExtensions(explicit);
  explicit?.end();
  reader.end();
  return { signatureAlgorithm, issuer, thisUpdate, ...(nextUpdate && { nextUpdate }), ...entries, extensions };
}

function readEntries(
  list: DerReader | undefined,
): Pick<CertificateRevocationList, "revokedSerials" | "hasCriticalEntryExtension"> {
  const revokedSerials = new Set<string>();
  if (list === undefined) return { revokedSerials, hasCriticalEntryExtension: false };
  let hasCriticalEntryExtension = false;
  // RFC 5280, 5.1.2.6: where nothing is revoked, the list is absent, not empty.
  if (list.atEnd) throw x509Malformed("an empty list of revoked certificates is written out");
  while (!list.atEnd) {
    const entry = list.sequence();
    revokedSerials.add(readSerial(entry));
    readTime(entry);
    const extensions = entry.atEnd ? [] : readExtensions(entry);
    hasCriticalEntryExtension ||= extensions.some(({ critical }) => critical);
    entry.end();
  }
  return { revokedSerials, hasCriticalEntryExtension };
}
