import { ProtectedFileError } from "./errors.ts";

/** A sealed file that can be read at any offset. Everything it gives is unverified. */
export interface SealedSource {
  /** Length of the whole sealed file. */
  readonly sealedBytes: number;
  /** Exactly `lengthBytes` bytes from `offset`; rejects with INPUT_CHANGED where they are not there. */
  read(offset: number, lengthBytes: number): Promise<Uint8Array>;
}

/** A source over bytes in memory (not copied). */
export function memorySource(bytes: Uint8Array): SealedSource {
  return {
    sealedBytes: bytes.length,
    read: async (offset, lengthBytes) => {
      if (offset + lengthBytes > bytes.length) throw new ProtectedFileError("INPUT_CHANGED");
      return Promise.resolve(bytes.subarray(offset, offset + lengthBytes));
    },
  };
}
