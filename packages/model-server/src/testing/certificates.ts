import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { encodePem } from "@cloister/encoding/pem";
import { buildCertificate, type DistinguishedName, type Issuer } from "@cloister/encoding/x509-builder";

/** A key and a certificate chain as PEM. */
export interface TestIdentity {
  readonly key: string;
  readonly cert: string;
}

/** A small real authority with a server certificate for "server.test" and 127.0.0.1, and a client certificate. */
export interface TestCertificates {
  readonly ca: string;
  readonly server: TestIdentity;
  readonly client: TestIdentity;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** For tests only: new keys on each call, valid for a day. The authority's is always of P-256. */
export function testCertificates(type: "ec" | "rsa" = "ec"): TestCertificates {
  const authority = issuer([["CN", "test authority"]]);
  const issue = (
    subject: DistinguishedName,
    publicKey: KeyObject,
    fields: Partial<Parameters<typeof buildCertificate>[0]>,
  ): string => {
    const notBefore = new Date(Date.now() - DAY_MS);
    const notAfter = new Date(Date.now() + DAY_MS);
    return encodePem(
      "CERTIFICATE",
      buildCertificate({ subject, publicKey, notBefore, notAfter, ...fields }, authority),
    );
  };
  const identity = (name: string, fields: Partial<Parameters<typeof buildCertificate>[0]>): TestIdentity => {
    const { publicKey, privateKey } = type === "ec" ? keyPair() : generateKeyPairSync("rsa", { modulusLength: 2048 });
    const key = privateKey.export({ format: "pem", type: "pkcs8" }) as string;
    return { key, cert: issue([["CN", name]], publicKey, fields) };
  };
  return {
    ca: issue(authority.name, authority.publicKey, {
      basicConstraints: { ca: true },
      keyUsage: ["keyCertSign", "cRLSign"],
    }),
    server: identity("server.test", {
      alternativeNames: { dnsNames: ["server.test"], ipAddresses: ["127.0.0.1"] },
      extendedKeyUsage: ["serverAuth"],
    }),
    client: identity("client", {
      alternativeNames: { dnsNames: ["client.test"] },
      extendedKeyUsage: ["clientAuth"],
    }),
  };
}

function keyPair(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

function issuer(name: DistinguishedName): Issuer {
  return { name, ...keyPair() };
}
