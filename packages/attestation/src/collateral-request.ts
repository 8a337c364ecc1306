import { fromHex, fromUtf8 } from "@cloister/encoding";
import { parsePem } from "@cloister/encoding/pem";
import { refusal } from "./errors.ts";
import type { QuotedPlatform } from "./quoted-platform.ts";

/** A service that gives collateral: Intel's (PCS) or a cache near the platforms (PCCS). */
export interface CollateralService {
  readonly kind: "pcs" | "pccs";
  /** Base of the SGX routes, for example "https://localhost:8081/sgx/certification/v4/". */
  readonly url: string;
  /** PEM of the authority that its TLS certificate is from. Default: the run time's authorities. */
  readonly tlsAuthority?: string;
}

/** `early` gives TCB info from the day of a TCB recovery on; `standard` leaves platforms time to update. */
export type UpdateType = "standard" | "early";

export const INTEL_PCS: CollateralService = Object.freeze({
  kind: "pcs",
  url: "https://api.trustedservices.intel.com/sgx/certification/v4/",
});

/** The distribution point in Intel's root. PCS itself does not serve this list. */
const INTEL_ROOT_CRL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";

const DER_SEQUENCE = 0x30;

/** Where each item is. */
export interface CollateralUrls {
  readonly tcbInfo: URL;
  readonly qeIdentity: URL;
  readonly pckCrl: URL;
  readonly rootCaCrl: URL;
}

/** URLs of dcap.md C.7. Throws `AttestationError` COLLATERAL_SERVICE_URL_INVALID for anything but HTTPS. */
export function collateralUrls(
  service: CollateralService,
  platform: QuotedPlatform,
  update: UpdateType,
): CollateralUrls {
  const base = parseBase(service.url);
  const teeBase = platform.tee === "tdx" ? new URL(base.href.replace("/sgx/", "/tdx/")) : base;
  const rootCrl = service.kind === "pcs" ? new URL(INTEL_ROOT_CRL) : new URL("rootcacrl", base);
  return {
    tcbInfo: withQuery(new URL("tcb", teeBase), { fmspc: platform.fmspc, update }),
    qeIdentity: withQuery(new URL("qe/identity", teeBase), { update }),
    pckCrl: withQuery(new URL("pckcrl", base), { ca: platform.pckCa, encoding: "der" }),
    rootCaCrl: rootCrl,
  };
}

/** Names of the headers with issuer chains, in the order in which they are looked for (version 4, then version 3). */
export const ISSUER_CHAIN_HEADERS = {
  tcbInfo: ["tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain"],
  qeIdentity: ["sgx-enclave-identity-issuer-chain"],
  pckCrl: ["sgx-pck-crl-issuer-chain"],
} as const;

/** The PEM text of a percent-encoded header. Throws `AttestationError` COLLATERAL_RESPONSE_MALFORMED. */
export function decodeIssuerChain(header: string | undefined): string {
  try {
    const text = decodeURIComponent(header ?? "");
    parsePem(text, "CERTIFICATE");
    return text;
  } catch (error) {
    throw refusal("COLLATERAL_RESPONSE_MALFORMED", error);
  }
}

/**
 * The DER bytes of a revocation list as services send it: DER, PEM, or hex of the DER, told apart by how it begins.
 * Throws `AttestationError` COLLATERAL_RESPONSE_MALFORMED.
 */
export function decodeCrlBody(body: Uint8Array): Uint8Array {
  // Hex of DER begins with the digits "30", whose first byte is 0x33.
  if (body[0] === DER_SEQUENCE) return body;
  const text = fromUtf8(body)?.trim() ?? "";
  const der = text.startsWith("-----BEGIN") ? decodePem(text) : fromHex(text);
  if (der?.[0] !== DER_SEQUENCE) throw refusal("COLLATERAL_RESPONSE_MALFORMED");
  return der;
}

function decodePem(text: string): Uint8Array | undefined {
  try {
    const blocks = parsePem(text, "X509 CRL");
    return blocks.length === 1 ? blocks[0] : undefined;
  } catch (error) {
    throw refusal("COLLATERAL_RESPONSE_MALFORMED", error);
  }
}

function parseBase(url: string): URL {
  const base = URL.parse(url.endsWith("/") ? url : `${url}/`);
  const isPlain = base?.username === "" && base.password === "" && base.search === "" && base.hash === "";
  if (base?.protocol !== "https:" || !isPlain) throw refusal("COLLATERAL_SERVICE_URL_INVALID");
  return base;
}

function withQuery(url: URL, query: Readonly<Record<string, string>>): URL {
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url;
}
