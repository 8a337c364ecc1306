import { generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import { encodePem } from "@cloister/encoding/pem";
import { buildCertificate, type DistinguishedName, parseCsr } from "@cloister/encoding/x509-builder";
import type { ServingCa } from "../options.ts";

const HOUR_MS = 3_600_000;

/** A small certification authority for tests: P-256, valid from an hour ago for a day. */
export interface TestAuthority {
  readonly certificatePem: string;
  issue(publicKey: KeyObject, dnsNames: readonly string[]): string;
  /** A key pair and its certificate, PEM. */
  server(dnsName: string): { key: string; cert: string };
}

export function createTestAuthority(): TestAuthority {
  const keyPair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name: DistinguishedName = [["CN", `test CA ${randomUUID().slice(0, 8)}`]];
  const validity = { notBefore: new Date(Date.now() - HOUR_MS), notAfter: new Date(Date.now() + 23 * HOUR_MS) };
  const issuer = { name, ...keyPair };
  const root = buildCertificate(
    {
      ...validity,
      subject: name,
      publicKey: keyPair.publicKey,
      basicConstraints: { ca: true },
      keyUsage: ["keyCertSign", "cRLSign"],
    },
    issuer,
  );
  const issue = (publicKey: KeyObject, dnsNames: readonly string[]): string => {
    const subject: DistinguishedName = [["CN", dnsNames[0] ?? "leaf"]];
    const fields = { ...validity, subject, publicKey, basicConstraints: { ca: false }, alternativeNames: { dnsNames } };
    return encodePem("CERTIFICATE", buildCertificate(fields, issuer));
  };
  return {
    certificatePem: encodePem("CERTIFICATE", root),
    issue,
    server(dnsName) {
      const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      return { key: privateKey.export({ type: "pkcs8", format: "pem" }) as string, cert: issue(publicKey, [dnsName]) };
    },
  };
}

/** Signs CSRs with that authority. */
export function testServingCa(authority: TestAuthority): ServingCa {
  return {
    clientCa: authority.certificatePem,
    issue: (csr, rule) => Promise.resolve(authority.issue(parseCsr(csr).publicKey, rule.dnsNames)),
  };
}
