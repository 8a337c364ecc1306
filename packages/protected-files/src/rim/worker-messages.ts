import type { ProtectedFileCode } from "../errors.ts";
import type { Group } from "../tree.ts";

/** Work for one group, on files that the main thread keeps open. Entries hold node keys; they stay in
 * this process. */
export type WorkerTask =
  | {
      readonly kind: "seal";
      readonly id: number;
      readonly inputFd: number;
      readonly outputFd: number;
      readonly group: Group;
      /** Entries of the child MHT nodes, one after the other. */
      readonly children: Uint8Array;
    }
  | {
      readonly kind: "open";
      readonly id: number;
      readonly inputFd: number;
      readonly outputFd: number;
      readonly group: Group;
      /** Verified entry of the group. */
      readonly entry: Uint8Array;
    };

/** What became of it: the entry (empty for "open"), a code of this package, or the text of another error. */
export type WorkerResult =
  | { readonly id: number; readonly entry: Uint8Array }
  | { readonly id: number; readonly code: ProtectedFileCode }
  | { readonly id: number; readonly message: string };
