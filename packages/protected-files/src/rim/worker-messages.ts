import type { ProtectedFileCode } from "../errors.ts";
import type { Group } from "../tree.ts";

/** A group to work on, in files that the main thread keeps open. */
interface GroupTask {
  readonly id: number;
  readonly inputFd: number;
  readonly group: Group;
}

/** Seals from the input to the output. */
interface SealTask extends GroupTask {
  readonly kind: "seal";
  readonly outputFd: number;
  /** Entries of the child MHT nodes, one after the other. */
  readonly children: Uint8Array;
}

/** Opens from the input to the output. */
interface OpenTask extends GroupTask {
  readonly kind: "open";
  readonly outputFd: number;
  /** Verified entry of the group. */
  readonly entry: Uint8Array;
}

/** Encrypts anew from the input to the output. */
interface ResealTask extends GroupTask {
  readonly kind: "reseal";
  readonly outputFd: number;
  readonly entry: Uint8Array;
  /** New entries of the child MHT nodes. */
  readonly children: Uint8Array;
}

/** Opens from the input and hands the plaintext back. */
interface ReadTask extends GroupTask {
  readonly kind: "read";
  readonly entry: Uint8Array;
}

/** Work for one group. Entries hold node keys; they stay in this process. */
export type WorkerTask = SealTask | OpenTask | ResealTask | ReadTask;

/**
 * What became of it: bytes (the group's new entry of a sealing, the plaintext of a reading, else none), a code of this package,
 * or the text of another error.
 */
export type WorkerResult =
  | { readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly id: number; readonly code: ProtectedFileCode }
  | { readonly id: number; readonly message: string };
