import { X509Certificate } from "node:crypto";
import { encodePem, parsePem } from "@cloister/encoding/pem";
import { COMMON_NAME, nameAttribute, parseCertificate, type Certificate } from "@cloister/encoding/x509";
import { buildCertificate, type DistinguishedName } from "@cloister/encoding/x509-builder";
import { BrokerError } from "../broker-error.ts";
import { generatePrivateKey, type PrivateKey, type PrivateKeyType } from "./private-key.ts";

const DAY_MS = 86_400_000;
/** Certificates begin a little before they are made, for peers whose clocks are late. */
export const CLOCK_SKEW_MS = 300_000;
const ORGANISATION = "Cloister";

/** The owner's certificate authority: it signs for the broker, the serving replicas and the requesters, and nothing else. */
export interface CertificateAuthority {
  readonly name: string;
  /** PEM; what peers trust. */
  readonly certificate: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly privateKey: PrivateKey;
}

export interface AuthorityOptions {
  /** Common name, up to 64 characters. */
  readonly name: string;
  readonly now: Date;
  /** Default 3650. */
  readonly days?: number;
  /** Default "p256". */
  readonly keyType?: PrivateKeyType;
}

/** Makes an authority with a fresh key: path length 0, so that it cannot make other authorities. */
export function createAuthority({ name, now, days = 3650, keyType = "p256" }: AuthorityOptions): CertificateAuthority {
  const privateKey = generatePrivateKey(keyType);
  const notBefore = new Date(now.getTime() - CLOCK_SKEW_MS);
  const notAfter = new Date(now.getTime() + days * DAY_MS);
  const subject = authorityName(name);
  const der = buildCertificate(
    {
      subject,
      publicKey: privateKey.publicKey,
      notBefore,
      notAfter,
      basicConstraints: { ca: true, pathLength: 0 },
      keyUsage: ["keyCertSign", "cRLSign"],
    },
    { name: subject, publicKey: privateKey.publicKey, privateKey: privateKey.keyObject() },
  );
  return describe(encodePem("CERTIFICATE", der), privateKey, parseCertificate(der), name);
}

/**
 * An authority from its stored certificate and key.
 * Throws `BrokerError` AUTHORITY_MALFORMED where it is not one that `createAuthority` made or the key is another's.
 */
export function openAuthority(certificatePem: string, privateKey: PrivateKey): CertificateAuthority {
  const certificate = parseOne(certificatePem);
  const x509 = new X509Certificate(certificatePem);
  const name = nameAttribute(certificate.subject, COMMON_NAME);
  const isOurs = x509.ca && x509.checkPrivateKey(privateKey.keyObject()) && x509.verify(privateKey.publicKey);
  if (!isOurs || name === undefined) throw malformed("it is no authority, or its key is another's");
  return describe(certificatePem, privateKey, certificate, name);
}

/** Subject of the authority with this common name. */
export function authorityName(name: string): DistinguishedName {
  return [
    ["CN", name],
    ["O", ORGANISATION],
  ];
}

function describe(pem: string, privateKey: PrivateKey, parsed: Certificate, name: string): CertificateAuthority {
  return { name, certificate: pem, notBefore: parsed.notBefore, notAfter: parsed.notAfter, privateKey };
}

function parseOne(pem: string): Certificate {
  try {
    const [der, ...more] = parsePem(pem, "CERTIFICATE");
    if (der === undefined || more.length > 0) throw malformed("there is not exactly one certificate");
    return parseCertificate(der);
  } catch (cause) {
    throw cause instanceof BrokerError ? cause : malformed("its certificate cannot be read", cause);
  }
}

function malformed(why: string, cause?: unknown): BrokerError {
  const explanation = { what: "certificate authority not opened", why, remedy: "restore both files from one backup" };
  return new BrokerError("AUTHORITY_MALFORMED", explanation, { cause });
}
