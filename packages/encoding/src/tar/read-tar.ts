import { EncodingError } from "../encoding-error.ts";

const BLOCK = 512;

export interface TarEntry {
  /** As it stands in the archive, without `./` before it; a folder's ends in a slash. */
  readonly path: string;
  /** Links and devices are `other`. */
  readonly kind: "file" | "folder" | "other";
  /** A view of the archive's bytes. */
  readonly content: Uint8Array;
}

/**
 * Entries of a tar archive in POSIX ustar, PAX or GNU form, in their order. Throws TAR_MALFORMED for a wrong checksum, a number that is not
 * octal, an end within a file, and for more than `maxEntries`.
 */
export function* readTar(archive: Uint8Array, { maxEntries = Infinity } = {}): Generator<TarEntry> {
  let longName: string | undefined;
  let count = 0;
  for (let at = 0; at + BLOCK <= archive.length;) {
    const header = archive.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) return;
    if (checksum(header) !== octal(header, 148, 8)) throw malformed("a header's checksum is wrong");
    const size = octal(header, 124, 12);
    const start = at + BLOCK;
    if (start + size > archive.length) throw malformed("it ends within a file");
    const content = archive.subarray(start, start + size);
    const type = header[156] === 0 ? "0" : String.fromCharCode(header[156] ?? 0);
    if (type === "L") longName = text(content, 0, content.length);
    else if (type === "x") longName = paxPath(content) ?? longName;
    else {
      if (count >= maxEntries) throw malformed("it holds too many files");
      count += 1;
      yield { path: nameOf(header, longName), kind: KINDS[type] ?? "other", content };
      longName = undefined;
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
}

const KINDS: Readonly<Record<string, TarEntry["kind"]>> = { "0": "file", "5": "folder" };

function nameOf(header: Uint8Array, longName: string | undefined): string {
  const isUstar = text(header, 257, 5) === "ustar";
  const prefix = isUstar && text(header, 257, 8) !== "ustar  " ? text(header, 345, 155) : "";
  const name = longName ?? (prefix === "" ? text(header, 0, 100) : `${prefix}/${text(header, 0, 100)}`);
  return name.replace(/^(?:\.\/)+/, "");
}

/** The path in a PAX header: records of "LENGTH KEY=VALUE\n". */
function paxPath(content: Uint8Array): string | undefined {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(new TextDecoder().decode(content))?.[1];
}

function checksum(header: Uint8Array): number {
  return header.reduce((sum, byte, index) => sum + (index >= 148 && index < 156 ? 0x20 : byte), 0);
}

function octal(header: Uint8Array, start: number, length: number): number {
  const digits = text(header, start, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw malformed("a number in a header is not octal");
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

function text(bytes: Uint8Array, start: number, length: number): string {
  const field = bytes.subarray(start, start + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end === -1 ? field : field.subarray(0, end));
}

function malformed(why: string): EncodingError {
  return new EncodingError("TAR_MALFORMED", { what: "the archive was not read", why, remedy: "pack it again" });
}
