import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { toHex } from "@cloister/encoding";
import { encodePem } from "@cloister/encoding/pem";
import { buildCertificate } from "@cloister/encoding/x509-builder";
import type { Collateral } from "../../collateral.ts";
import type { CollateralService } from "../../collateral-request.ts";

/** Answers instead of the test service; returns false to let it answer. */
export type Interception = (request: IncomingMessage, response: ServerResponse) => boolean;

export interface TestPccs extends AsyncDisposable {
  readonly service: CollateralService;
  /** Paths with queries, in the order in which they came. */
  readonly requests: readonly string[];
}

/** A collateral cache over real TLS on this machine, which serves one set of collateral on the routes of dcap.md C.7. */
export async function startTestPccs(collateral: Collateral, intercept: Interception = () => false): Promise<TestPccs> {
  const { key, certificate } = tlsIdentity();
  const requests: string[] = [];
  const server = createServer({ key, cert: certificate }, (request, response) => {
    requests.push(request.url ?? "");
    if (!intercept(request, response)) answer(collateral, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    service: { kind: "pccs", url: `https://127.0.0.1:${port}/sgx/certification/v4/`, tlsAuthority: certificate },
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What an honest service answers. */
export function answer(collateral: Collateral, request: IncomingMessage, response: ServerResponse): void {
  const path = new URL(request.url ?? "", "https://localhost").pathname.replace(
    /^\/(sgx|tdx)\/certification\/v4\//,
    "",
  );
  const send = (body: Uint8Array | string, header?: string, chain?: string): void => {
    if (header !== undefined && chain !== undefined) response.setHeader(header, encodeURIComponent(chain));
    response.end(body);
  };
  if (path === "tcb") send(collateral.tcbInfo, "TCB-Info-Issuer-Chain", collateral.tcbInfoIssuerChain);
  else if (path === "qe/identity") {
    send(collateral.qeIdentity, "SGX-Enclave-Identity-Issuer-Chain", collateral.qeIdentityIssuerChain);
  } else if (path === "pckcrl") send(collateral.pckCrl, "SGX-PCK-CRL-Issuer-Chain", collateral.pckCrlIssuerChain);
  else if (path === "rootcacrl") send(toHex(collateral.rootCaCrl));
  else response.writeHead(404).end();
}

function tlsIdentity(): { key: string; certificate: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = [["CN", "Test collateral service"]] as const;
  const now = Date.now();
  const fields = {
    subject: name,
    publicKey,
    notBefore: new Date(now - 60_000),
    notAfter: new Date(now + 3_600_000),
    basicConstraints: { ca: true },
    alternativeNames: { ipAddresses: ["127.0.0.1"] },
  };
  const der = buildCertificate(fields, { name, publicKey, privateKey });
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    certificate: encodePem("CERTIFICATE", der),
  };
}
