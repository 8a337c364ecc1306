import type { KeyObject } from "node:crypto";
import { EncodingError } from "@cloister/encoding";
import { encodePem } from "@cloister/encoding/pem";
import {
  buildCertificate,
  parseCsr,
  type AlternativeNames,
  type ExtendedKeyUsage,
  type KeyUsage,
} from "@cloister/encoding/x509-builder";
import { BrokerError, type BrokerErrorCode } from "../broker-error.ts";
import { authorityName, CLOCK_SKEW_MS, type CertificateAuthority } from "./authority.ts";

const SECOND_MS = 1000;
const DAY_SECONDS = 86_400;
const MAX_COMMON_NAME = 64;

/** The key to certify: itself, or a PKCS#10 request (DER) that proves possession. Names in a request are not looked at. */
export type SubjectKey = { readonly publicKey: KeyObject } | { readonly csr: Uint8Array };

interface CommonOptions {
  readonly authority: CertificateAuthority;
  readonly subject: SubjectKey;
  readonly now: Date;
  /** Give one of the two. Default 90 days. */
  readonly days?: number;
  readonly validitySeconds?: number;
}

export interface ServerCertificateOptions extends CommonOptions, AlternativeNames {}

export interface ClientCertificateOptions extends CommonOptions {
  /** Common name, for example the requester's name; up to 64 characters. */
  readonly name: string;
}

/** What a peer presents: PEM, leaf first, then the authority. */
export interface IssuedCertificate {
  /** The leaf alone, PEM. */
  readonly certificate: string;
  readonly chain: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * A TLS server certificate: at least one subject alternative name, server authentication only, a random serial. It ends
 * before its authority does.
 *
 * Throws `BrokerError` CERTIFICATE_FIELDS_INVALID, CERTIFICATE_OUTLIVES_AUTHORITY or CERTIFICATE_REQUEST_REFUSED.
 */
export function issueServerCertificate(options: ServerCertificateOptions): IssuedCertificate {
  const { dnsNames = [], ipAddresses = [] } = options;
  const [first = ""] = [...dnsNames, ...ipAddresses];
  // Peers go by the alternative names; a common name that does not fit is left generic.
  const name = first.length > 0 && first.length <= MAX_COMMON_NAME ? first : "server";
  return issue(options, { name, usage: "serverAuth", alternativeNames: { dnsNames, ipAddresses } });
}

/** A TLS client certificate: client authentication only. Errors as for `issueServerCertificate`. */
export function issueClientCertificate(options: ClientCertificateOptions): IssuedCertificate {
  return issue(options, { name: options.name, usage: "clientAuth" });
}

interface Leaf {
  readonly name: string;
  readonly usage: ExtendedKeyUsage;
  readonly alternativeNames?: AlternativeNames;
}

function issue(options: CommonOptions, leaf: Leaf): IssuedCertificate {
  const { authority, now } = options;
  const publicKey = subjectKey(options.subject);
  const { notBefore, notAfter } = validity(options);
  const issuerKey = authority.privateKey;
  const fields = {
    subject: [["CN", leaf.name]] as const,
    publicKey,
    notBefore,
    notAfter,
    basicConstraints: { ca: false },
    keyUsage: keyUsage(publicKey, leaf.usage),
    extendedKeyUsage: [leaf.usage],
    ...(leaf.alternativeNames !== undefined && { alternativeNames: leaf.alternativeNames }),
  };
  if (!(notBefore <= now && now < notAfter)) throw refused("CERTIFICATE_FIELDS_INVALID", "its validity is empty");
  const issuer = {
    name: authorityName(authority.name),
    publicKey: issuerKey.publicKey,
    privateKey: issuerKey.keyObject(),
  };
  const certificate = encodePem(
    "CERTIFICATE",
    translate(() => buildCertificate(fields, issuer), "CERTIFICATE_FIELDS_INVALID"),
  );
  return { certificate, chain: certificate + authority.certificate, notBefore, notAfter };
}

/** An RSA key may also encrypt the premaster secret of old TLS 1.2 suites; others only sign. */
function keyUsage(publicKey: KeyObject, usage: ExtendedKeyUsage): KeyUsage[] {
  const isRsaServer = publicKey.asymmetricKeyType === "rsa" && usage === "serverAuth";
  return isRsaServer ? ["digitalSignature", "keyEncipherment"] : ["digitalSignature"];
}

function subjectKey(subject: SubjectKey): KeyObject {
  if ("publicKey" in subject) return subject.publicKey;
  return translate(() => parseCsr(subject.csr), "CERTIFICATE_REQUEST_REFUSED").publicKey;
}

/** Whole seconds, as certificates have them. */
function validity({ authority, now, days = 90, validitySeconds = days * DAY_SECONDS }: CommonOptions) {
  const start = Math.max(now.getTime() - CLOCK_SKEW_MS, authority.notBefore.getTime());
  const notBefore = new Date(Math.ceil(start / SECOND_MS) * SECOND_MS);
  const notAfter = new Date(Math.floor(now.getTime() / SECOND_MS + validitySeconds) * SECOND_MS);
  if (!(notAfter <= authority.notAfter)) {
    throw refused("CERTIFICATE_OUTLIVES_AUTHORITY", "it would be valid for longer than its authority");
  }
  return { notBefore, notAfter };
}

function translate<T>(make: () => T, code: BrokerErrorCode): T {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof EncodingError)) throw cause;
    throw refused(code, cause.explanation.why, cause);
  }
}

function refused(code: BrokerErrorCode, why: string, cause?: unknown): BrokerError {
  const remedy = "correct the names, the validity or the key that were asked for";
  return new BrokerError(code, { what: "certificate not issued", why, remedy }, { cause });
}
