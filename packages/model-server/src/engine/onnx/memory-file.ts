import { closeSync, fstatSync, readSync } from "node:fs";

/** A file that has a path but lies in memory, and is gone when it is closed. */
export interface MemoryFile {
  readonly path: string;
  readonly read: () => Uint8Array;
  readonly close: () => void;
}

/** MFD_CLOEXEC of memfd.h. */
const CLOSE_ON_EXEC = 1;

/**
 * A new memory file (memfd_create of Linux); `undefined` where there is none: on other systems, inside Gramine, or without the
 * optional package koffi.
 */
export async function createMemoryFile(): Promise<MemoryFile | undefined> {
  const create = await importCall();
  const descriptor = create?.("cloister", CLOSE_ON_EXEC) ?? -1;
  if (descriptor < 0) return undefined;
  const read = (): Uint8Array => {
    const bytes = new Uint8Array(fstatSync(descriptor).size);
    for (let at = 0; at < bytes.length;) {
      const count = readSync(descriptor, bytes, at, bytes.length - at, at);
      if (count === 0) throw new Error("a memory file ended early");
      at += count;
    }
    return bytes;
  };
  return { path: `/proc/self/fd/${descriptor}`, read, close: () => closeSync(descriptor) };
}

type Create = (name: string, flags: number) => number;

async function importCall(): Promise<Create | undefined> {
  if (process.platform !== "linux") return undefined;
  try {
    const koffi = await import("koffi");
    return koffi.load("libc.so.6").func("memfd_create", "int", ["str", "uint"]);
  } catch {
    return undefined;
  }
}
