/** How a replica reaches the TEE it runs in. Real drivers (Gramine, TDX) and the simulated one implement this. */
export interface PlatformDriver {
  readonly name: string;
  /** True for anything that does not come from hardware. Every surface repeats it. */
  readonly simulated: boolean;
  /**
   * A quote over 64 bytes of report data. The platform adds the measurement itself: the replica cannot choose it.
   * Throws `PLATFORM_QUOTE_FAILED`.
   */
  quote(reportData: Uint8Array): Promise<Uint8Array>;
}
