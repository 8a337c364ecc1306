export type { LogEntry } from "./entry.ts";
export type { LogProof, ReleaseLog } from "./log.ts";
