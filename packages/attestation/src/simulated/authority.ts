import { generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  buildCertificate,
  buildCrl,
  randomSerial,
  type CertificateExtensions,
  type DistinguishedName,
  type Issuer,
} from "@cloister/encoding/x509-builder";

const DAY_MS = 86_400_000;
const CRL_HOST = "https://simulated.invalid/sgx/certification/v4";

/** Which CA issues the platform's PCK certificates: multi-package servers have the platform form. */
export type PckCa = "platform" | "processor";

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** A certificate with its key. */
export interface Identity extends KeyPair {
  readonly commonName: string;
  readonly name: DistinguishedName;
  readonly serial: Uint8Array;
  readonly der: Uint8Array;
}

/** Both ends of every certificate's validity. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** The simulated counterpart of Intel's provisioning PKI (root, PCK CA, TCB signing). */
export interface Authority {
  readonly pckCa: PckCa;
  readonly validity: Validity;
  readonly root: Identity;
  readonly intermediate: Identity;
  readonly tcbSigner: Identity;
}

/** Makes the PKI. Every name says "Simulated"; the phrases that give a certificate its role are those of the real one. */
export function createAuthority(pckCa: PckCa, validity: Validity): Authority {
  const root = issue({ commonName: "Simulated SGX Root CA", validity, crl: "rootcacrl", ca: { pathLength: 1 } });
  const caName = pckCa === "platform" ? "Simulated SGX PCK Platform CA" : "Simulated SGX PCK Processor CA";
  const intermediate = issue({ commonName: caName, validity, crl: "rootcacrl", ca: { pathLength: 0 } }, root);
  const tcbSigner = issue({ commonName: "Simulated SGX TCB Signing", validity, crl: "rootcacrl" }, root);
  return { pckCa, validity, root, intermediate, tcbSigner };
}

/** A PCK certificate with its SGX extension. */
export function issuePck(authority: Authority, sgxExtension: Uint8Array): Identity {
  const { validity, intermediate, pckCa } = authority;
  const crl = `pckcrl?ca=${pckCa}&encoding=der`;
  return issue({ commonName: "Simulated SGX PCK Certificate", validity, crl, sgxExtension }, intermediate);
}

/** A revocation list of one of the CAs. `serials` in any order. */
export function issueCrl(issuer: Issuer, serials: readonly Uint8Array[], issuedAt: Date, days: number): Uint8Array {
  return buildCrl(
    {
      thisUpdate: issuedAt,
      nextUpdate: new Date(issuedAt.getTime() + days * DAY_MS),
      number: Math.floor(issuedAt.getTime() / 1000),
      revoked: serials.map((serial) => ({ serial, revokedAt: issuedAt, reason: 1 })),
    },
    issuer,
  );
}

/** Attributes in the order of Intel's names. */
export function simulatedName(commonName: string): DistinguishedName {
  return [
    ["CN", commonName],
    ["O", "Cloister Simulated Platform"],
    ["L", "Simulated"],
    ["ST", "Simulated"],
    ["C", "XX"],
  ];
}

export function generateP256(): KeyPair {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

interface IssueOptions {
  readonly commonName: string;
  readonly validity: Validity;
  readonly crl: string;
  readonly ca?: { readonly pathLength: number };
  readonly sgxExtension?: Uint8Array;
}

function issue(options: IssueOptions, issuer?: Issuer): Identity {
  const { commonName, validity } = options;
  const keys = generateP256();
  const name = simulatedName(commonName);
  const serial = randomSerial();
  const fields = { ...validity, subject: name, publicKey: keys.publicKey, serial, ...extensions(options) };
  return { ...keys, commonName, name, serial, der: buildCertificate(fields, issuer ?? { name, ...keys }) };
}

function extensions({ ca, crl, sgxExtension }: IssueOptions): CertificateExtensions {
  return {
    basicConstraints: ca === undefined ? { ca: false } : { ca: true, pathLength: ca.pathLength },
    keyUsage: ca === undefined ? ["digitalSignature", "nonRepudiation"] : ["keyCertSign", "cRLSign"],
    crlDistributionPoints: [`${CRL_HOST}/${crl}`],
    ...(sgxExtension !== undefined && { extraExtensions: [{ id: "1.2.840.113741.1.13.1", value: sgxExtension }] }),
  };
}
