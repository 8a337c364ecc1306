/** The entries of a ustar archive, for tests. */
export function readTar(archive: Buffer): { readonly path: string; readonly content: Buffer }[] {
  const entries: { path: string; content: Buffer }[] = [];
  for (let at = 0; at + 512 <= archive.length && archive[at] !== 0;) {
    const field = (offset: number, length: number): string => {
      const bytes = archive.subarray(at + offset, at + offset + length);
      const end = bytes.indexOf(0);
      return bytes.subarray(0, end < 0 ? length : end).toString();
    };
    const sizeBytes = Number.parseInt(field(124, 12), 8);
    const prefix = field(345, 155);
    const path = prefix === "" ? field(0, 100) : `${prefix}/${field(0, 100)}`;
    entries.push({ path, content: archive.subarray(at + 512, at + 512 + sizeBytes) });
    at += 512 + 512 * Math.ceil(sizeBytes / 512);
  }
  return entries;
}
