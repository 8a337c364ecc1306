import type { IncomingHttpHeaders } from "node:http";
import type { Collateral } from "../collateral/collateral.ts";
import {
  collateralUrls,
  decodeCrlBody,
  decodeIssuerChain,
  ISSUER_CHAIN_HEADERS,
  type CollateralService,
  type UpdateType,
} from "../collateral/collateral-request.ts";
import type { QuotedPlatform } from "../collateral/quoted-platform.ts";
import { readCollateralFile } from "./collateral-files.ts";
import type { HttpsAnswer } from "./https-exchange.ts";
import { getPatiently, type PatienceOptions } from "./patient-get.ts";

export interface FetchCollateralOptions extends PatienceOptions {
  /** Default "standard". */
  readonly update?: UpdateType;
}

/**
 * Fetches the collateral of a kind of platform from a service, or reads it from files. Nothing in it is verified: `appraise`
 * does that. Rejects with `AttestationError` with a COLLATERAL_ code.
 */
export async function fetchCollateral(
  service: CollateralService,
  platform: QuotedPlatform,
  options: FetchCollateralOptions = {},
): Promise<Collateral> {
  const update = options.update ?? "standard";
  if (service.kind === "file") return await readCollateralFile(service.url, platform, update);
  const urls = collateralUrls(service, platform, update);
  const get = (url: URL): Promise<HttpsAnswer> => getPatiently(url, service, options);
  const [tcbInfo, qeIdentity, pckCrl, rootCaCrl] = await Promise.all([
    get(urls.tcbInfo),
    get(urls.qeIdentity),
    get(urls.pckCrl),
    get(urls.rootCaCrl),
  ]);
  return {
    tcbInfo: tcbInfo.body,
    tcbInfoIssuerChain: issuerChain(tcbInfo.headers, ISSUER_CHAIN_HEADERS.tcbInfo),
    qeIdentity: qeIdentity.body,
    qeIdentityIssuerChain: issuerChain(qeIdentity.headers, ISSUER_CHAIN_HEADERS.qeIdentity),
    rootCaCrl: decodeCrlBody(rootCaCrl.body),
    pckCrl: decodeCrlBody(pckCrl.body),
    pckCrlIssuerChain: issuerChain(pckCrl.headers, ISSUER_CHAIN_HEADERS.pckCrl),
  };
}

/** Asks a service for the smallest item, once, to see whether it is there. Rejects with `AttestationError` as above. */
export async function probeService(service: CollateralService, timeoutMs = 5000): Promise<{ readonly date?: Date }> {
  if (service.kind === "file") return {};
  const { qeIdentity } = collateralUrls(service, { tee: "sgx", fmspc: "", pckCa: "platform" }, "standard");
  const { headers } = await getPatiently(qeIdentity, service, { retries: 0, timeoutMs });
  decodeIssuerChain(firstHeader(headers, ISSUER_CHAIN_HEADERS.qeIdentity));
  const date = new Date(headers.date ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? {} : { date };
}

function issuerChain(headers: IncomingHttpHeaders, names: readonly string[]): string {
  return decodeIssuerChain(firstHeader(headers, names));
}

function firstHeader(headers: IncomingHttpHeaders, names: readonly string[]): string | undefined {
  return names.map((name) => headers[name]).find((value) => typeof value === "string");
}
