import { fromHex, fromUtf8 } from "@cloister/encoding";
import { parsePem } from "@cloister/encoding/pem";
import { refusal } from "../errors.ts";
import type { QuotedPlatform } from "./quoted-platform.ts";

/** A service that gives collateral: Intel's (PCS), a cache near the platforms (PCCS), or files of sets from an earlier fetch. */
export interface CollateralService {
  readonly kind: "pcs" | "pccs" | "file";
  /** Base of the SGX routes, for example "https://localhost:8081/sgx/certification/v4/"; for files a file: URL. */
  readonly url: string;
  /** PEM of the authority that its TLS certificate is from. Default: the run time's authorities. */
  readonly tlsAuthority?: string;
  /** How a PCCS is asked for the root's revocation list: its own route, or `crl?uri=` (API 3.1). Default "rootcacrl". */
  readonly rootCrlRoute?: "rootcacrl" | "crl";
  /**
   * Takes any TLS certificate. Collateral is signed, so nobody in between can forge it, but they can hold newer collateral
   * back until the old one expires.
   */
  readonly insecureTls?: true;
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

/**
 * URLs of dcap.md C.7. Throws `AttestationError` COLLATERAL_SERVICE_URL_INVALID for anything but HTTPS and, on this machine,
 * HTTP; COLLATERAL_VERSION_UNSUPPORTED for TDX at a service of version 3.
 */
export function collateralUrls(
  service: CollateralService,
  platform: QuotedPlatform,
  update: UpdateType,
): CollateralUrls {
  const base = parseBase(service.url);
  const isOld = base.pathname.includes("/v3/");
  if (isOld && platform.tee === "tdx") throw refusal("COLLATERAL_VERSION_UNSUPPORTED");
  const teeBase = platform.tee === "tdx" ? new URL(base.href.replace("/sgx/", "/tdx/")) : base;
  // Version 3 knows no update types.
  const updateQuery = isOld ? {} : { update };
  return {
    tcbInfo: withQuery(new URL("tcb", teeBase), { fmspc: platform.fmspc, ...updateQuery }),
    qeIdentity: withQuery(new URL("qe/identity", teeBase), updateQuery),
    pckCrl: withQuery(new URL("pckcrl", base), { ca: platform.pckCa, encoding: "der" }),
    rootCaCrl: rootCrlUrl(service, base),
  };
}

function rootCrlUrl(service: CollateralService, base: URL): URL {
  if (service.kind === "pcs") return new URL(INTEL_ROOT_CRL);
  if (service.rootCrlRoute === "crl") return withQuery(new URL("crl", base), { uri: INTEL_ROOT_CRL });
  return new URL("rootcacrl", base);
}

/** Names of the headers with issuer chains, in the order in which they are looked for (version 4, then version 3). */
export const ISSUER_CHAIN_HEADERS = {
  tcbInfo: ["tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain"],
  qeIdentity: ["sgx-enclave-identity-issuer-chain"],
  pckCrl: ["sgx-pck-crl-issuer-chain"],
} as const;

/**
 * The PEM text of a header: percent-encoded, as PCS and PCCS send it, or plain with spaces for its line ends.
 * Throws `AttestationError` COLLATERAL_RESPONSE_MALFORMED.
 */
export function decodeIssuerChain(header: string | undefined): string {
  try {
    const text = header?.includes("%") === true ? decodeURIComponent(header) : unfold(header ?? "");
    parsePem(text, "CERTIFICATE");
    return text;
  } catch (error) {
    throw refusal("COLLATERAL_RESPONSE_MALFORMED", error);
  }
}

/** A header cannot hold line ends. What is not PEM after all is refused by the parser. */
function unfold(header: string): string {
  const folded = header.split("-----").map((part) => part.trim());
  const isLabel = (part: string): boolean => part.startsWith("BEGIN ") || part.startsWith("END ");
  const lines = folded.map((part) => (isLabel(part) ? `-----${part}-----` : part.replaceAll(/\s+/g, "\n")));
  return `${lines.filter((line) => line !== "").join("\n")}\n`;
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
  if (base === null || !isPlain || !isProtected(base)) throw refusal("COLLATERAL_SERVICE_URL_INVALID");
  return base;
}

/** HTTPS, or HTTP that does not leave this machine. */
export function isProtected({ protocol, hostname }: URL): boolean {
  const isHere = hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
  return protocol === "https:" || (protocol === "http:" && isHere);
}

function withQuery(url: URL, query: Readonly<Record<string, string>>): URL {
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url;
}
