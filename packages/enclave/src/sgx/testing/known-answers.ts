// Inputs of the known answers in gramine.md E.6.

/** A small ELF64 file with two load segments. */
export function knownLoader(): Uint8Array {
  const file = Uint8Array.from({ length: 0x2000 }, (_, index) => (7 * index + 3) & 0xff);
  const view = new DataView(file.buffer);
  file.fill(0, 0, 64);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 3, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, 0x1010n, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 2, true);
  writeSegment(view, 64, { flags: 5, offset: 0, address: 0, fileSize: 0x1234, memorySize: 0x1234 });
  writeSegment(view, 120, { flags: 6, offset: 0x1800, address: 0x3800, fileSize: 0x200, memorySize: 0x2000 });
  return file;
}

/** The manifest of the known answers. */
export function knownManifest(size: string, threads: number, edmm: boolean): Uint8Array {
  return new TextEncoder().encode(
    [
      'loader.entrypoint.uri = "file:libsysdb.so"',
      `loader.entrypoint.sha256 = "${"0".repeat(64)}"`,
      `sgx.enclave_size = "${size}"`,
      `sgx.max_threads = ${threads}`,
      `sgx.edmm_enable = ${edmm}`,
      "",
    ].join("\n"),
  );
}

interface Segment {
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
}

function writeSegment(view: DataView, at: number, segment: Segment): void {
  view.setUint32(at, 1, true);
  view.setUint32(at + 4, segment.flags, true);
  view.setBigUint64(at + 8, BigInt(segment.offset), true);
  view.setBigUint64(at + 16, BigInt(segment.address), true);
  view.setBigUint64(at + 24, BigInt(segment.address), true);
  view.setBigUint64(at + 32, BigInt(segment.fileSize), true);
  view.setBigUint64(at + 40, BigInt(segment.memorySize), true);
  view.setBigUint64(at + 48, 0x1000n, true);
}
