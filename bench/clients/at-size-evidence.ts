import { generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import { createRaTlsCertificate } from "@cloister/attestation/ra-tls";
import type { SimulatedPlatform } from "@cloister/attestation/simulated";
import { buildCsr } from "@cloister/encoding/x509-builder";

/** What one attempt of a replica shows. */
export interface Evidence {
  /** PKCS#8 DER. */
  readonly key: Uint8Array;
  readonly certificate: Uint8Array;
  readonly csr: Uint8Array;
}

/** What every replica of the benchmark measures to. */
export const MRENCLAVE: Uint8Array = new Uint8Array(32).fill(0xe1);
const generate = promisify(generateKeyPair);

/** A fresh key with a quote of the SIMULATED platform for it. */
export async function makeEvidence(platform: SimulatedPlatform): Promise<Evidence> {
  const keyPair = await generate("ec", { namedCurve: "P-256" });
  const certificate = await createRaTlsCertificate({
    keyPair,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    quote: (reportData) =>
      Promise.resolve(platform.quote({ reportData, mrenclave: MRENCLAVE, mrsigner: new Uint8Array(32) })),
  });
  const key = keyPair.privateKey.export({ type: "pkcs8", format: "der" });
  return { key, certificate, csr: buildCsr({ subject: [["CN", "cloister replica"]], ...keyPair }) };
}
