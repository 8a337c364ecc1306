import type { Secret } from "@cloister/encoding";

/** Names of the platforms a replica can run on, as `--platform` takes them. */
export const PLATFORMS = ["gramine", "tdx", "simulated"] as const;
export type PlatformName = (typeof PLATFORMS)[number];

/** How a replica reaches the TEE it runs in. Real drivers (Gramine, TDX) and the simulated one implement this. */
export interface PlatformDriver {
  /** As status and logs show it: `gramine`, `tdx`, or `SIMULATED`. */
  readonly name: string;
  /** True for anything that does not come from hardware. Every surface repeats it. */
  readonly simulated: boolean;
  /**
   * A quote over 64 bytes of report data. The platform adds the measurement itself: the replica cannot choose it.
   * Throws `PLATFORM_QUOTE_FAILED`.
   */
  quote(reportData: Uint8Array): Promise<Uint8Array>;
  /**
   * Gives an encrypted mount its key of 16 bytes; only where the platform decrypts mounts (Gramine). Throws
   * `PLATFORM_KEY_REFUSED`.
   */
  readonly installKey?: (name: string, key: Secret) => Promise<void>;
}
