import { setTimeout as sleep } from "node:timers/promises";
import type { CollateralService } from "../collateral/collateral-request.ts";
import { AttestationError, refusal, type CollateralErrorCode } from "../errors.ts";
import { httpsExchange, type HttpsAnswer } from "./https-exchange.ts";

export interface PatienceOptions {
  /** For each request. Default 10,000. */
  readonly timeoutMs?: number;
  /** After failures of the service or the network, each time after twice the pause. Default 3. */
  readonly retries?: number;
  /** Before the first retry. Default 500. */
  readonly pauseMs?: number;
  /** A service that asks for a longer pause (Retry-After) is not waited for. Default 30,000. */
  readonly maxPauseMs?: number;
  readonly signal?: AbortSignal;
}

const WORTH_A_RETRY: ReadonlySet<string> = new Set<CollateralErrorCode>([
  "COLLATERAL_SERVICE_UNREACHABLE",
  "COLLATERAL_SERVICE_TIMEOUT",
  "COLLATERAL_SERVICE_FAILED",
  "COLLATERAL_SERVICE_BUSY",
]);

/**
 * GET with retries: after failures of the network and of the service, not where the service refuses. Rejects with
 * `AttestationError` with a COLLATERAL_ code.
 */
export async function getPatiently(
  url: URL,
  service: CollateralService,
  options: PatienceOptions = {},
): Promise<HttpsAnswer> {
  const { timeoutMs = 10_000, retries = 3, pauseMs = 500, maxPauseMs = 30_000, signal } = options;
  const { tlsAuthority, insecureTls } = service;
  for (let attempt = 0; ; attempt += 1) {
    const outcome = await attemptOnce(url, {
      timeoutMs,
      ...(tlsAuthority !== undefined && { tlsAuthority }),
      ...(insecureTls === true && { insecureTls }),
      ...(signal && { signal }),
    });
    if ("answer" in outcome) return outcome.answer;
    const pause = Math.max(outcome.retryAfterMs ?? 0, pauseMs * 2 ** attempt);
    const again = WORTH_A_RETRY.has(outcome.error.code) && signal?.aborted !== true && pause <= maxPauseMs;
    if (!again || attempt >= retries) throw outcome.error;
    await sleep(pause, undefined, signal ? { signal } : {});
  }
}

type Outcome =
  { readonly answer: HttpsAnswer } | { readonly error: AttestationError; readonly retryAfterMs?: number | undefined };

async function attemptOnce(url: URL, options: Parameters<typeof httpsExchange>[1]): Promise<Outcome> {
  try {
    const answer = await httpsExchange(url, options);
    const code = statusCode(answer.status);
    if (code === undefined) return { answer };
    return { error: refusal(code), retryAfterMs: retryAfterMs(answer.headers["retry-after"]) };
  } catch (error) {
    if (error instanceof AttestationError) return { error };
    throw error;
  }
}

/** Status codes of PCS and PCCS (dcap.md C.7): 461 and 462 are "platform unknown" and "certificates unavailable". */
function statusCode(status: number): CollateralErrorCode | undefined {
  if (status === 200) return undefined;
  if (status === 404 || status === 461 || status === 462) return "COLLATERAL_NOT_FOUND";
  if (status === 410) return "COLLATERAL_VERSION_UNSUPPORTED";
  if (status === 429) return "COLLATERAL_SERVICE_BUSY";
  return status >= 500 ? "COLLATERAL_SERVICE_FAILED" : "COLLATERAL_SERVICE_REFUSED";
}

/** Seconds, or a date (RFC 9110, section 10.2.3). */
function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
