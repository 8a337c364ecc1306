import type { IncomingHttpHeaders } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Collateral } from "../collateral.ts";
import {
  collateralUrls,
  decodeCrlBody,
  decodeIssuerChain,
  ISSUER_CHAIN_HEADERS,
  type CollateralService,
  type UpdateType,
} from "../collateral-request.ts";
import { AttestationError } from "../errors.ts";
import type { QuotedPlatform } from "../quoted-platform.ts";
import { httpsGet, type HttpsAnswer } from "./https-get.ts";

export interface FetchCollateralOptions {
  /** Default "standard". */
  readonly update?: UpdateType;
  /** For each request. Default 10,000. */
  readonly timeoutMs?: number;
  /** After failures of the service or the network, each time after twice the pause. Default 3. */
  readonly retries?: number;
  /** Before the first retry. Default 500. */
  readonly pauseMs?: number;
  readonly signal?: AbortSignal;
}

const WORTH_A_RETRY: ReadonlySet<string> = new Set([
  "COLLATERAL_SERVICE_UNREACHABLE",
  "COLLATERAL_SERVICE_TIMEOUT",
  "COLLATERAL_SERVICE_FAILED",
]);

/**
 * Fetches the collateral of a kind of platform from a service. Nothing in it is verified: `appraise` does that.
 * Rejects with `AttestationError` with a COLLATERAL_ code.
 */
export async function fetchCollateral(
  service: CollateralService,
  platform: QuotedPlatform,
  options: FetchCollateralOptions = {},
): Promise<Collateral> {
  const urls = collateralUrls(service, platform, options.update ?? "standard");
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

async function getPatiently(
  url: URL,
  { tlsAuthority }: CollateralService,
  options: FetchCollateralOptions,
): Promise<HttpsAnswer> {
  const { timeoutMs = 10_000, retries = 3, pauseMs = 500, signal } = options;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await httpsGet(url, {
        timeoutMs,
        ...(tlsAuthority !== undefined && { tlsAuthority }),
        ...(signal && { signal }),
      });
    } catch (error) {
      const again = error instanceof AttestationError && WORTH_A_RETRY.has(error.code) && signal?.aborted !== true;
      if (!again || attempt >= retries) throw error;
      await sleep(pauseMs * 2 ** attempt, undefined, signal ? { signal } : {});
    }
  }
}

function issuerChain(headers: IncomingHttpHeaders, names: readonly string[]): string {
  const header = names.map((name) => headers[name]).find((value) => typeof value === "string");
  return decodeIssuerChain(typeof header === "string" ? header : undefined);
}
