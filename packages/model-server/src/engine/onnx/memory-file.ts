import { libc } from "./libc.ts";

/** A file that lies in memory. Any thread of the process can open its path. */
export interface MemoryFile {
  readonly descriptor: number;
  /** The memory is free once the file is closed, and nothing has it mapped any more. */
  readonly close: () => void;
}

/** MFD_CLOEXEC of memfd.h. */
const CLOSE_ON_EXEC = 1;

/** A new memory file (memfd_create of Linux); `undefined` where there is none: without libc's calls, and inside Gramine. */
export async function createMemoryFile(): Promise<MemoryFile | undefined> {
  const calls = await libc();
  const descriptor = calls?.createMemoryFile("cloister", CLOSE_ON_EXEC) ?? -1;
  return calls && descriptor >= 0 ? { descriptor, close: () => calls.close(descriptor) } : undefined;
}

/** A path to an open file, in this process. */
export function pathOf(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}
