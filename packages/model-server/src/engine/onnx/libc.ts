/** Calls of the GNU C library that Node has no other way to. */
export interface Libc {
  /** memfd_create(2): a descriptor, or -1. */
  readonly createMemoryFile: (name: string, flags: number) => number;
  /** close(2). Node's own warns of descriptors that it did not open. */
  readonly close: (descriptor: number) => void;
  /** malloc_trim(3): gives free memory in all heaps back to the system, but for `pad` bytes. */
  readonly trim: (pad: number) => number;
}

let loaded: Promise<Libc | undefined> | undefined;

/** `undefined` on other systems than Linux with glibc, and without the optional package koffi. */
export function libc(): Promise<Libc | undefined> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Libc | undefined> {
  if (process.platform !== "linux") return undefined;
  try {
    const koffi = await import("koffi");
    const library = koffi.load("libc.so.6");
    return {
      createMemoryFile: library.func("memfd_create", "int", ["str", "uint"]) as Libc["createMemoryFile"],
      close: library.func("close", "int", ["int"]) as Libc["close"],
      trim: library.func("malloc_trim", "int", ["size_t"]) as Libc["trim"],
    };
  } catch {
    return undefined;
  }
}
