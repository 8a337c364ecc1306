import { randomBytes } from "node:crypto";

/** Gives `lengthBytes` unpredictable bytes that it never gives again. */
export type RandomSource = (lengthBytes: number) => Uint8Array;

/** The system's generator. */
export const systemRandom: RandomSource = randomBytes;
