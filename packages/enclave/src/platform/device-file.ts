import { constants } from "node:fs";
import { open } from "node:fs/promises";

/**
 * Reads a driver's file to its end. Such files say size 0, and a host could let them go on for ever: more than `maxBytes`
 * throws `RangeError`.
 */
export async function readDeviceFile(path: string, maxBytes: number): Promise<Uint8Array> {
  const file = await open(path, "r");
  try {
    const buffer = Buffer.alloc(maxBytes + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      length += bytesRead;
      if (length > maxBytes) throw new RangeError(`the file holds more than ${maxBytes} bytes`);
      if (bytesRead === 0) return new Uint8Array(buffer.subarray(0, length));
    }
  } finally {
    await file.close();
  }
}

/** Writes a driver's file, which has to exist, with a single call: its value is replaced as a whole. */
export async function writeDeviceFile(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, constants.O_WRONLY);
  let written: number;
  try {
    ({ bytesWritten: written } = await file.write(bytes, 0, bytes.length, null));
  } finally {
    // Binary attributes of configfs are taken over on closing, which can fail.
    await file.close();
  }
  if (written !== bytes.length) throw new RangeError("the driver took a part of the bytes");
}
