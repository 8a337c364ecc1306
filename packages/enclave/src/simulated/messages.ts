import { z } from "zod";

/**
 * Messages between the simulated platform (the parent process, which plays the hardware and the host) and a replica
 * (the child). Byte strings travel as base64. Nothing secret travels here.
 */
const Base64 = z.base64().max(1 << 20);

export const ToReplica = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("start"), manifest: Base64, hostOptions: z.unknown() }),
  z.strictObject({ kind: z.literal("quote"), id: z.int(), quote: Base64 }),
  z.strictObject({ kind: z.literal("quote-failed"), id: z.int() }),
  z.strictObject({ kind: z.literal("stop") }),
]);
export type ToReplica = z.infer<typeof ToReplica>;

export const FromReplica = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("quote-request"), id: z.int(), reportData: Base64 }),
  z.strictObject({ kind: z.literal("phase"), name: z.string().max(64), ms: z.number() }),
  z.strictObject({ kind: z.literal("ready"), host: z.string().max(253), port: z.int(), generation: z.int() }),
  z.strictObject({ kind: z.literal("refused"), code: z.string().max(64), message: z.string().max(2048) }),
]);
export type FromReplica = z.infer<typeof FromReplica>;
