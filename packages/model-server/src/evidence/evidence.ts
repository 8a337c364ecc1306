import { callError } from "../errors.ts";

/** Where a server gets evidence about itself. In a replica this is the platform driver. */
export interface EvidenceSource {
  /** A quote over 64 bytes of report data. */
  quote(reportData: Uint8Array): Promise<Uint8Array>;
  /** Collateral for those quotes in canonical JSON, where the server has some: it saves clients from fetching it. */
  collateral?(): Promise<Uint8Array | undefined>;
  /**
   * Proof that the release of this serving key's secrets is in the broker's log, in the form of `encodeLogProof`; `undefined` where
   * the server has none for that key. `publicKeySha256`: of its SubjectPublicKeyInfo.
   */
  releaseProof?(publicKeySha256: Uint8Array): Uint8Array | undefined;
}

/** Quotes asked for at one time. They cost the platform milliseconds, and anybody who connects can ask. */
const MAX_QUOTES_UNDER_WAY = 64;

/** The same evidence, with a limit on how many quotes are made at a time: more are refused with RESOURCE_EXHAUSTED. */
export function limitedSource(source: EvidenceSource): EvidenceSource {
  let underWay = 0;
  return {
    ...(source.collateral !== undefined && { collateral: source.collateral.bind(source) }),
    ...(source.releaseProof !== undefined && { releaseProof: source.releaseProof.bind(source) }),
    quote: async (reportData) => {
      if (underWay >= MAX_QUOTES_UNDER_WAY)
        throw callError("RESOURCE_EXHAUSTED", "Too many clients ask for evidence at the moment.");
      underWay += 1;
      try {
        return await source.quote(reportData);
      } finally {
        underWay -= 1;
      }
    },
  };
}
