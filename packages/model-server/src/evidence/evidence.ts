/** Where a server gets evidence about itself. In a replica this is the platform driver. */
export interface EvidenceSource {
  /** A quote over 64 bytes of report data. */
  quote(reportData: Uint8Array): Promise<Uint8Array>;
  /** Collateral for those quotes in canonical JSON, where the server has some: it saves clients from fetching it. */
  collateral?(): Promise<Uint8Array | undefined>;
}
