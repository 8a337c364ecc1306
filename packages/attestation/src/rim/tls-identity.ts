import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { encodePem } from "@cloister/encoding/pem";
import { buildCertificate, type DistinguishedName } from "@cloister/encoding/x509-builder";

/** What a TLS server shows, and the authority that vouches for it. All PEM. */
export interface TlsIdentity {
  readonly key: string;
  readonly certificate: string;
  readonly authority: string;
}

const HOUR_MS = 3_600_000;

/** A fresh authority with one server certificate for this machine's own addresses, for a day. The authority's key is dropped. */
export function createLocalTlsIdentity(now: Date, host = "127.0.0.1"): TlsIdentity {
  const authority = { name: named("Local test authority"), ...p256() };
  const validity = { notBefore: new Date(now.getTime() - HOUR_MS), notAfter: new Date(now.getTime() + 24 * HOUR_MS) };
  const root = buildCertificate(
    {
      ...validity,
      subject: authority.name,
      publicKey: authority.publicKey,
      basicConstraints: { ca: true, pathLength: 0 },
      keyUsage: ["keyCertSign", "cRLSign"],
    },
    authority,
  );
  const server = p256();
  const isAddress = /^[\d.]+$/.test(host);
  const leaf = buildCertificate(
    {
      ...validity,
      subject: named("Local test service"),
      publicKey: server.publicKey,
      basicConstraints: { ca: false },
      keyUsage: ["digitalSignature"],
      alternativeNames: { dnsNames: ["localhost", ...(isAddress ? [] : [host])], ipAddresses: ["127.0.0.1"] },
    },
    authority,
  );
  return {
    key: server.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    certificate: encodePem("CERTIFICATE", leaf),
    authority: encodePem("CERTIFICATE", root),
  };
}

function named(commonName: string): DistinguishedName {
  return [["CN", commonName]];
}

function p256(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}
