import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

export type CollectGarbage = (options: {
  readonly type: "minor" | "major";
  readonly execution: "sync";
  readonly flavor?: "last-resort";
}) => void;

/** V8's collector, where it can be called. */
export const collectGarbage: CollectGarbage | undefined = (() => {
  setFlagsFromString("--expose-gc");
  return runInNewContext("typeof gc === 'function' ? gc : undefined") as CollectGarbage | undefined;
})();

/** Well below the 64 MiB at which V8 marks the whole heap; one collection for each MiB would cost more than it saves. */
const EVERY_BYTES = 24 * 1024 * 1024;

/** Counts bytes, and collects behind each `EVERY_BYTES` of them, once what runs has come to its end. */
export function receivedCounter(collect: () => void): (bytes: number) => void {
  let received = 0;
  return (bytes) => {
    received += bytes;
    if (received < EVERY_BYTES) return;
    received = 0;
    setImmediate(collect);
  };
}

/**
 * Counts what a socket gave, which is garbage as soon as it is copied. Node has a buffer of its own for each 16 KiB that TLS has
 * decrypted; V8 sees no more of it than a small object, and once 64 MiB of them lie outside of its heap it marks the whole heap, which
 * took half of the processor time of a server of large requests. They are all young: a minor collection frees them for far less.
 */
export const countReceived = receivedCounter(() => collectGarbage?.({ type: "minor", execution: "sync" }));
