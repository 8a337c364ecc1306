import type { CollateralService, UpdateType } from "../collateral/collateral-request.ts";
import { isProtected } from "../collateral/collateral-request.ts";
import { refusal } from "../errors.ts";
import { readJsonForm } from "./json-form.ts";
import { readLineForm } from "./line-form.ts";

/** Settings of `sgx_default_qcnl.conf` that concern collateral, with the defaults of Intel's library filled in. */
export interface QcnlSettings {
  readonly form: "json" | "lines";
  readonly pccsUrl: string;
  readonly collateralService?: string;
  readonly useSecureCert: boolean;
  readonly updateType: UpdateType;
  readonly apiVersion: "3.0" | "3.1";
  readonly retryTimes: number;
  /** Seconds; 0: one second, doubling. */
  readonly retryDelay: number;
  readonly localPckUrl?: string;
  readonly pckCacheExpireHours: number;
  readonly collateralCacheExpireHours: number;
  readonly localCacheOnly: boolean;
}

const MAX_TEXT = 64 * 1024;
/** The cap of Intel's library: 90 days. */
const MAX_CACHE_HOURS = 2160;
const MAX_RETRIES = 100;
const MAX_DELAY_SECONDS = 3600;
const DEFAULT_URL = "https://localhost:8081/sgx/certification/v4/";
const INTEL_HOST = "api.trustedservices.intel.com";

/**
 * Reads the configuration of Intel's quote provider library in both forms (dcap.md C.8): JSON with comments where the first
 * character is "{", else lines of NAME=value. Unknown names and values of the wrong type are ignored, as there.
 * Throws `AttestationError` QCNL_MALFORMED.
 */
export function parseQcnl(text: string): QcnlSettings {
  if (text.length > MAX_TEXT) throw refusal("QCNL_MALFORMED");
  const isJson = text.trimStart().startsWith("{");
  const values = isJson ? readJsonForm(text) : readLineForm(text);
  const string = (name: string): string | undefined => typed(values[name], "string");
  const boolean = (name: string, otherwise: boolean): boolean => typed(values[name], "boolean") ?? otherwise;
  const number = (name: string, max: number): number => Math.min(max, typed(values[name], "number") ?? 0);
  const collateralService = string("collateral_service");
  const localPckUrl = string("local_pck_url");
  return {
    form: isJson ? "json" : "lines",
    pccsUrl: string("pccs_url") ?? DEFAULT_URL,
    ...(collateralService !== undefined && { collateralService }),
    useSecureCert: boolean("use_secure_cert", true),
    updateType: updateType(string("tcb_update_type")),
    apiVersion: string("pccs_api_version") === "3.1" ? "3.1" : "3.0",
    retryTimes: number("retry_times", MAX_RETRIES),
    retryDelay: number("retry_delay", MAX_DELAY_SECONDS),
    ...(localPckUrl !== undefined && { localPckUrl }),
    pckCacheExpireHours: number("pck_cache_expire_hours", MAX_CACHE_HOURS),
    collateralCacheExpireHours: number("verify_collateral_cache_expire_hours", MAX_CACHE_HOURS),
    localCacheOnly: boolean("local_cache_only", false),
  };
}

/** How to ask for collateral, from the settings. */
export interface QcnlService {
  readonly service: CollateralService;
  readonly update: UpdateType;
  readonly retries: number;
  readonly pauseMs: number;
  /** Longest age of a kept set; undefined: as long as it is valid. */
  readonly maxAgeMs?: number;
}

export interface QcnlServiceOptions {
  /** The operator's own word that `use_secure_cert: false` may stand. Default false. */
  readonly allowInsecureTls?: boolean;
}

/**
 * The collateral service that the settings name: `collateral_service`, else `pccs_url`; Intel's own host is asked as Intel's
 * service. Throws `AttestationError` QCNL_INSECURE_TLS or QCNL_URL_NOT_PROTECTED.
 */
export function qcnlService(settings: QcnlSettings, options: QcnlServiceOptions = {}): QcnlService {
  const address = settings.collateralService ?? settings.pccsUrl;
  const url = URL.parse(address);
  if (url === null || !isProtected(url)) throw refusal("QCNL_URL_NOT_PROTECTED");
  const isInsecure = !settings.useSecureCert;
  if (isInsecure && options.allowInsecureTls !== true) throw refusal("QCNL_INSECURE_TLS");
  const isIntel = url.hostname === INTEL_HOST;
  const rootCrlRoute = settings.apiVersion === "3.1" ? "crl" : "rootcacrl";
  const hours = settings.collateralCacheExpireHours;
  return {
    service: {
      kind: isIntel ? "pcs" : "pccs",
      url: address,
      ...(!isIntel && { rootCrlRoute }),
      ...(isInsecure && { insecureTls: true }),
    },
    update: settings.updateType,
    retries: settings.retryTimes,
    pauseMs: settings.retryDelay === 0 ? 1000 : settings.retryDelay * 1000,
    ...(hours > 0 && { maxAgeMs: hours * 3_600_000 }),
  };
}

interface Types {
  readonly string: string;
  readonly boolean: boolean;
  readonly number: number;
}

function typed<Name extends keyof Types>(value: unknown, type: Name): Types[Name] | undefined {
  if (type === "number" && !(Number.isSafeInteger(value) && (value as number) >= 0)) return undefined;
  return typeof value === type ? (value as Types[Name]) : undefined;
}

function updateType(value: string | undefined): UpdateType {
  if (value === undefined || value === "standard" || value === "early") return value ?? "standard";
  throw refusal("QCNL_MALFORMED");
}
