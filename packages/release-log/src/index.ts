export { type Checkpoint, CheckpointSigner, parseCheckpoint, verifyCheckpoint } from "./checkpoint.ts";
export { decodeLogEntry, encodeLogEntry, type LogEntry, MAX_ENTRY_BYTES } from "./entry.ts";
export { GroupCommit, type Pending } from "./group-commit.ts";
export type { AppendOptions, LogProof, ReleaseLog } from "./log.ts";
export { leafHash, type TreeHead, verifyConsistency, verifyInclusion } from "./merkle.ts";
export { MerkleTree } from "./merkle-tree.ts";
export { verifyContinuation, verifyLogProof } from "./proof.ts";
export { decodeLogProof, encodeLogProof } from "./proof-json.ts";
export { ReleaseLogError, type ReleaseLogErrorCode } from "./release-log-error.ts";
