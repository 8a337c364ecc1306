import { createHash, generateKeyPairSync, sign, X509Certificate, type KeyObject } from "node:crypto";
import { createServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { toHex } from "@cloister/encoding";
import { toBase64 } from "@cloister/encoding/base64";
import { buildCertificate } from "@cloister/encoding/x509-builder";
import type { MaaProvider } from "../../maa/provider.ts";
import { parseQuote } from "../../quote/quote.ts";
import { createLocalTlsIdentity } from "../tls-identity.ts";

/** A signing key of the mock service. */
export interface MockKey {
  readonly id: string;
  readonly algorithm: "RS256" | "ES256";
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** Members of a token; `undefined` leaves one out. */
export type TokenMembers = Readonly<Record<string, unknown>>;

export function mockKey(id: string, algorithm: MockKey["algorithm"] = "RS256"): MockKey {
  const pair =
    algorithm === "RS256"
      ? generateKeyPairSync("rsa", { modulusLength: 2048 })
      : generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { id, algorithm, ...pair };
}

/** The published form of keys: as the service does it (a certificate alone), as members, or both. */
export function keySet(keys: readonly MockKey[], form: "x5c" | "members" | "both" = "both", now = new Date()): string {
  const entries = keys.map((key) => {
    const { kty, n, e, crv, x, y } = key.publicKey.export({ format: "jwk" });
    const members = form === "x5c" ? {} : { n, e, crv, x, y };
    const certificate = form === "members" ? {} : { x5c: [toBase64(selfSigned(key, now))] };
    return { kid: key.id, kty, ...members, ...certificate };
  });
  return JSON.stringify({ keys: entries });
}

/** What the service writes about a quote at a time. */
export function tokenMembers(quote: Uint8Array, issuer: string, now: Date, runtimeData?: Uint8Array): TokenMembers {
  const { body } = parseQuote(quote);
  if (body.tee !== "sgx") throw new TypeError("SGX quotes only");
  const { report } = body;
  const seconds = Math.floor(now.getTime() / 1000);
  return {
    iss: issuer,
    jti: "00000000",
    iat: seconds,
    nbf: seconds,
    exp: seconds + 8 * 3600,
    "x-ms-ver": "1.0",
    "x-ms-attestation-type": "sgx",
    "x-ms-policy-hash": "AAAA",
    "x-ms-sgx-is-debuggable": ((report.attributes[0] ?? 0) & 2) !== 0,
    "x-ms-sgx-mrenclave": toHex(report.mrenclave),
    "x-ms-sgx-mrsigner": toHex(report.mrsigner),
    "x-ms-sgx-product-id": report.isvProdId,
    "x-ms-sgx-svn": report.isvSvn,
    "x-ms-sgx-report-data": toHex(report.reportData),
    "x-ms-sgx-collateral": { quotehash: createHash("sha256").update(quote).digest("hex") },
    ...(runtimeData && { "x-ms-sgx-ehd": Buffer.from(runtimeData).toString("base64url") }),
  };
}

export function signToken(members: TokenMembers, key: MockKey, header: TokenMembers = {}): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: key.algorithm, kid: key.id, typ: "JWT", ...header })}.${part(members)}`;
  const signature = sign("sha256", Buffer.from(text), { key: key.privateKey, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

export interface MockMaa extends AsyncDisposable {
  readonly provider: MaaProvider;
  readonly requests: readonly string[];
  /** Keys that it publishes and the one that it signs with, from now on. */
  rotate(published: readonly MockKey[], signing: MockKey): void;
}

export interface MockMaaOptions {
  readonly clock: () => Date;
  readonly key: MockKey;
  /** Answers instead of the service; returns false to let it answer. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** A stand-in of Microsoft Azure Attestation over real TLS. It vouches for every SGX quote that can be read. */
export async function startMockMaa({ clock, key, intercept }: MockMaaOptions): Promise<MockMaa> {
  const tls = createLocalTlsIdentity(new Date());
  const requests: string[] = [];
  let published: readonly MockKey[] = [key];
  let signing = key;
  let url = "";
  const server = createServer({ key: tls.key, cert: tls.certificate }, (request, response) => {
    requests.push(request.url ?? "");
    if (intercept?.(request, response) === true) return;
    if (request.url === "/certs") response.end(keySet(published, "x5c", clock()));
    else void attest(request).then((token) => response.end(JSON.stringify({ token })));
  });
  const attest = async (request: IncomingMessage): Promise<string> => {
    const body = JSON.parse((await buffer(request)).toString()) as { quote: string; runtimeData?: { data: string } };
    const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64url"));
    const runtimeData = body.runtimeData && bytes(body.runtimeData.data);
    return signToken(tokenMembers(bytes(body.quote), url, clock(), runtimeData), signing);
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    provider: { url, kind: "simulated", tlsAuthority: tls.authority },
    requests,
    rotate: (keys, next) => {
      published = keys;
      signing = next;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function selfSigned({ publicKey, privateKey }: MockKey, now: Date): Uint8Array {
  const name = [["CN", "Mock attestation signer"]] as const;
  const day = 86_400_000;
  const validity = { notBefore: new Date(now.getTime() - day), notAfter: new Date(now.getTime() + day) };
  const der = buildCertificate({ subject: name, publicKey, ...validity }, { name, publicKey, privateKey });
  return new Uint8Array(new X509Certificate(Buffer.from(der)).raw);
}
