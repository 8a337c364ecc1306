import { toHex, utf8 } from "@cloister/encoding";
import { encodePem } from "@cloister/encoding/pem";
import type { Collateral } from "../collateral/collateral.ts";

/** Which set a request is about. Requests name parts of it only. */
export interface CollateralQuery {
  readonly tee: "sgx" | "tdx";
  /** 12 lower-case hex digits. */
  readonly fmspc?: string;
  readonly ca?: "platform" | "processor";
}

/** How services differ in what they send. */
export interface PccsStyle {
  /** Form of revocation lists. Default: hex, and DER where the request says `encoding=der`, as Intel's PCCS. */
  readonly crl?: "hex" | "der" | "pem";
  /** Form of issuer chains. Default "percent". */
  readonly chains?: "percent" | "plain";
}

export interface PccsAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

const ROUTE = /^\/(sgx|tdx)\/certification\/v([34])\/([a-z/]+)$/;

/**
 * What a PCCS answers to a GET (dcap.md C.7, the routes for collateral): status, headers and body. `find` gives the set that
 * a request is about, or nothing.
 */
export function answerAsPccs(
  target: string,
  find: (query: CollateralQuery) => Collateral | undefined,
  style: PccsStyle = {},
): PccsAnswer {
  const url = new URL(target, "https://pccs.invalid");
  const [, tee, version, route] = ROUTE.exec(url.pathname) ?? [];
  if (tee === undefined || route === undefined) return failure(404);
  if (version === "3" && tee === "tdx") return failure(404);
  const query = readQuery(tee as "sgx" | "tdx", url.searchParams);
  if (query === undefined) return failure(400);
  const collateral = find(query);
  return collateral === undefined ? failure(404) : answerRoute(route, version, collateral, url.searchParams, style);
}

function answerRoute(
  route: string,
  version: string | undefined,
  collateral: Collateral,
  query: URLSearchParams,
  style: PccsStyle,
): PccsAnswer {
  const chain = (name: string, pem: string) => ({ [name]: encodeChain(pem, style) });
  const crl = (der: Uint8Array) => encodeCrl(der, style.crl ?? (query.get("encoding") === "der" ? "der" : "hex"));
  const json = { "content-type": "application/json" };
  switch (route) {
    case "tcb": {
      const name = version === "3" ? "SGX-TCB-Info-Issuer-Chain" : "TCB-Info-Issuer-Chain";
      return success(collateral.tcbInfo, { ...json, ...chain(name, collateral.tcbInfoIssuerChain) });
    }
    case "qe/identity": {
      const headers = chain("SGX-Enclave-Identity-Issuer-Chain", collateral.qeIdentityIssuerChain);
      return success(collateral.qeIdentity, { ...json, ...headers });
    }
    case "pckcrl":
      return success(crl(collateral.pckCrl), chain("SGX-PCK-CRL-Issuer-Chain", collateral.pckCrlIssuerChain));
    case "rootcacrl":
      return success(crl(collateral.rootCaCrl), { "content-type": "application/pkix-crl" });
    case "crl":
      return query.has("uri") ? success(collateral.rootCaCrl, {}) : failure(400);
    default:
      return failure(404);
  }
}

function readQuery(tee: "sgx" | "tdx", query: URLSearchParams): CollateralQuery | undefined {
  const fmspc = query.get("fmspc")?.toLowerCase();
  const ca = query.get("ca")?.toLowerCase();
  if (fmspc !== undefined && !/^[0-9a-f]{12}$/.test(fmspc)) return undefined;
  if (ca !== undefined && ca !== "platform" && ca !== "processor") return undefined;
  return { tee, ...(fmspc !== undefined && { fmspc }), ...(ca !== undefined && { ca }) };
}

function encodeChain(pem: string, { chains = "percent" }: PccsStyle): string {
  return chains === "percent" ? encodeURIComponent(pem) : pem.trim().replaceAll("\n", " ");
}

function encodeCrl(der: Uint8Array, form: "hex" | "der" | "pem"): Uint8Array {
  if (form === "der") return der;
  return utf8(form === "pem" ? encodePem("X509 CRL", der) : toHex(der).toUpperCase());
}

function success(body: Uint8Array, headers: Readonly<Record<string, string>>): PccsAnswer {
  return { status: 200, headers, body };
}

function failure(status: number): PccsAnswer {
  return {
    status,
    headers: { "content-type": "text/plain" },
    body: utf8(status === 404 ? "No cache data" : "Invalid"),
  };
}
