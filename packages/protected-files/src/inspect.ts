import { type Secret, toHex } from "@cloister/encoding";
import { createHash } from "node:crypto";
import { ProtectedFileError } from "./errors.ts";
import { type FormatVersion, parseMetadataHeader } from "./metadata.ts";
import { ANY_PATH, checkSealedLength, openNodeZero } from "./open.ts";
import { STOCK_TOLERANCES, type Tolerance } from "./tolerance.ts";
import { NODE_BYTES, pathFromRoot } from "./tree.ts";

/** What can be seen of a protected file. Without the key nothing of it is verified. */
export interface FileInspection {
  readonly formatVersion: FormatVersion;
  readonly minor: number;
  readonly flags: number;
  readonly sealedBytes: number;
  readonly nodes: number;
  /** Hex; each pins the exact file once it is known to be genuine. */
  readonly metadataTag: string;
  readonly metadataSha256: string;
  /** What opening refuses unless tolerated. */
  readonly oddities: readonly Tolerance[];
  /** Only with the key, and then verified; the tree itself is not read. */
  readonly verified: VerifiedInspection | undefined;
}

export interface VerifiedInspection {
  readonly boundPath: string;
  readonly sizeBytes: number;
  readonly dataNodes: number;
  readonly mhtNodes: number;
  /** Levels of MHT nodes. */
  readonly depth: number;
  readonly appendedNodes: number;
}

/**
 * Looks at node 0 of a file of `sealedBytes` bytes, tolerating what stock tools tolerate and naming it. Throws LENGTH_NOT_NODES,
 * MAGIC_UNKNOWN, VERSION_UNSUPPORTED, and with a key METADATA_NOT_AUTHENTIC and TRUNCATED.
 */
export function inspectFile(node: Uint8Array, sealedBytes: number, wrapKey?: Secret): FileInspection {
  checkSealedLength(sealedBytes);
  const header = parseMetadataHeader(node, STOCK_TOLERANCES);
  const verified = wrapKey === undefined ? undefined : inspectVerified(node, sealedBytes, wrapKey);
  const oddities = STOCK_ODDITIES.filter((oddity) => isRefusedWithout(oddity, node));
  return {
    formatVersion: header.formatVersion,
    minor: header.minor,
    flags: header.flags,
    sealedBytes,
    nodes: sealedBytes / NODE_BYTES,
    metadataTag: toHex(header.tag),
    metadataSha256: createHash("sha256").update(node).digest("hex"),
    oddities: (verified?.appendedNodes ?? 0) > 0 ? [...oddities, "appended-nodes"] : oddities,
    verified,
  };
}

const STOCK_ODDITIES: readonly Tolerance[] = ["minor-version", "pending-write", "feature-flags", "metadata-padding"];

function isRefusedWithout(oddity: Tolerance, node: Uint8Array): boolean {
  try {
    parseMetadataHeader(
      node,
      STOCK_TOLERANCES.filter((other) => other !== oddity),
    );
    return false;
  } catch (error) {
    if (error instanceof ProtectedFileError) return true;
    throw error;
  }
}

function inspectVerified(node: Uint8Array, sealedBytes: number, wrapKey: Secret): VerifiedInspection {
  const options = { wrapKey, boundPath: ANY_PATH, tolerate: STOCK_TOLERANCES } as const;
  const { metadata, shape } = openNodeZero(node, sealedBytes, options);
  return {
    boundPath: metadata.boundPath,
    sizeBytes: shape.sizeBytes,
    dataNodes: shape.dataNodes,
    mhtNodes: shape.mhtNodes,
    depth: shape.mhtNodes === 0 ? 0 : pathFromRoot(shape.mhtNodes - 1).length,
    appendedNodes: sealedBytes / NODE_BYTES - shape.nodes,
  };
}
