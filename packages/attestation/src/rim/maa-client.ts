import { fromUtf8 } from "@cloister/encoding";
import { toBase64 } from "@cloister/encoding/base64";
import { parseStrictJson } from "@cloister/encoding/canonical-json";
import type { VerifiedClaims } from "../appraisal/claims.ts";
import { Fields } from "../documents/fields.ts";
import { AttestationError, refusal } from "../errors.ts";
import { appraiseMaaToken } from "../maa/appraise-token.ts";
import { parseMaaKeys, type MaaKeys } from "../maa/jwks.ts";
import { parseJwt } from "../maa/jwt.ts";
import { providerUrl, type MaaProvider } from "../maa/provider.ts";
import { httpsExchange, type HttpsAnswer } from "./https-exchange.ts";

export interface MaaClientOptions {
  readonly provider: MaaProvider;
  readonly clock: () => Date;
  /** For each request. Default 10,000. */
  readonly timeoutMs?: number;
  /** Age at which the published keys are fetched again. Default one hour. */
  readonly keysMaxAgeMs?: number;
}

export interface MaaClient {
  /**
   * Asks the service about a quote and checks its token. `runtimeData` is what the enclave put the SHA-256 of into its
   * report data. Rejects with `AttestationError` with an MAA_ code.
   */
  readonly appraise: (quote: Uint8Array, runtimeData?: Uint8Array) => Promise<VerifiedClaims>;
}

const API_VERSION = "2022-08-01";
const HOUR_MS = 3_600_000;
/** Tokens with made-up key ids must not make this client ask the service again and again. */
const MIN_KEYS_AGE_MS = 30_000;

/** A client of one attestation service. Throws `AttestationError` MAA_PROVIDER_INVALID. */
export function createMaaClient(options: MaaClientOptions): MaaClient {
  const { provider, clock } = options;
  const url = providerUrl(provider);
  const ask = (path: string, json?: string): Promise<Uint8Array> => exchange(new URL(path, url), options, json);
  const keys = new KeyCache(async () => parseMaaKeys(await ask("/certs")), clock, options.keysMaxAgeMs ?? HOUR_MS);
  return {
    appraise: async (quote, runtimeData) => {
      const body = await ask(`/attest/SgxEnclave?api-version=${API_VERSION}`, attestBody(quote, runtimeData));
      const token = readToken(body);
      const evidence = { quote, token, ...(runtimeData && { runtimeData }) };
      return appraiseMaaToken(evidence, provider, await keys.forId(parseJwt(token).keyId), clock());
    },
  };
}

/** Published keys, fetched again when they are old and when a token names a key that is not among them: keys rotate. */
class KeyCache {
  readonly #fetch: () => Promise<MaaKeys>;
  readonly #clock: () => Date;
  readonly #maxAgeMs: number;
  #underWay: Promise<MaaKeys> | undefined;
  #keys: MaaKeys = new Map();
  #fetchedAt = Number.NEGATIVE_INFINITY;

  constructor(fetch: () => Promise<MaaKeys>, clock: () => Date, maxAgeMs: number) {
    this.#fetch = fetch;
    this.#clock = clock;
    this.#maxAgeMs = maxAgeMs;
  }

  async forId(id: string): Promise<MaaKeys> {
    const ageMs = this.#clock().getTime() - this.#fetchedAt;
    if (ageMs >= this.#maxAgeMs || (!this.#keys.has(id) && ageMs >= MIN_KEYS_AGE_MS)) {
      this.#underWay ??= this.#refresh().finally(() => (this.#underWay = undefined));
      return await this.#underWay;
    }
    return this.#keys;
  }

  async #refresh(): Promise<MaaKeys> {
    this.#keys = await this.#fetch();
    this.#fetchedAt = this.#clock().getTime();
    return this.#keys;
  }
}

async function exchange(url: URL, options: MaaClientOptions, json: string | undefined): Promise<Uint8Array> {
  const { provider, timeoutMs = 10_000 } = options;
  let answer: HttpsAnswer;
  try {
    answer = await httpsExchange(url, {
      timeoutMs,
      ...(provider.tlsAuthority !== undefined && { tlsAuthority: provider.tlsAuthority }),
      ...(json !== undefined && { json }),
    });
  } catch (error) {
    const isTooLarge = error instanceof AttestationError && error.code === "COLLATERAL_RESPONSE_TOO_LARGE";
    throw refusal(isTooLarge ? "MAA_RESPONSE_MALFORMED" : "MAA_SERVICE_UNREACHABLE", error);
  }
  if (answer.status === 200) return answer.body;
  throw refusal(answer.status === 429 || answer.status >= 500 ? "MAA_SERVICE_FAILED" : "MAA_SERVICE_REFUSED");
}

function attestBody(quote: Uint8Array, runtimeData: Uint8Array | undefined): string {
  return JSON.stringify({
    quote: toBase64Url(quote),
    ...(runtimeData && { runtimeData: { data: toBase64Url(runtimeData), dataType: "Binary" } }),
  });
}

function readToken(body: Uint8Array): string {
  try {
    return new Fields(parseStrictJson(fromUtf8(body) ?? "", { allowAnyNumber: true })).string("token");
  } catch (error) {
    throw refusal("MAA_RESPONSE_MALFORMED", error);
  }
}

function toBase64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
