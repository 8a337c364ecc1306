import { fromBase64, toBase64 } from "../base64.ts";
import { EncodingError } from "../encoding-error.ts";

const LINE_LENGTH = 64;
const MAX_LENGTH = 1 << 20;
const MAX_BLOCKS = 64;

/**
 * The contents of the blocks of a PEM text (RFC 7468, the strict form): nothing but blocks with this label, lines of 64
 * characters, canonical base64, LF or CRLF. So a text has no second spelling of the same bytes that would go unnoticed.
 *
 * Throws `EncodingError` PEM_MALFORMED. An empty text has no block and is refused too.
 */
export function parsePem(text: string, label: string): Uint8Array[] {
  if (text.length > MAX_LENGTH) throw malformed("the text is longer than 1 MiB");
  const lines = text.split(text.includes("\r\n") ? "\r\n" : "\n");
  if (lines.at(-1) === "") lines.pop();
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const blocks: Uint8Array[] = [];
  let at = 0;
  while (at < lines.length) {
    if (lines[at] !== begin) throw malformed("something stands before or between the blocks");
    const last = lines.indexOf(end, at);
    if (last < 0) throw malformed("a block has no end");
    if (blocks.length === MAX_BLOCKS) throw malformed("there are too many blocks");
    blocks.push(decodeLines(lines.slice(at + 1, last)));
    at = last + 1;
  }
  if (blocks.length === 0) throw malformed("there is no block");
  return blocks;
}

/** One PEM block with a line feed at the end of each line. */
export function encodePem(label: string, der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

function decodeLines(lines: readonly string[]): Uint8Array {
  const full = lines.slice(0, -1).every((line) => line.length === LINE_LENGTH);
  const lastLength = lines.at(-1)?.length ?? 0;
  if (!full || lastLength === 0 || lastLength > LINE_LENGTH) throw malformed("a line is not 64 characters long");
  const bytes = fromBase64(lines.join(""));
  if (bytes === undefined) throw malformed("a block is not canonical base64");
  return bytes;
}

function malformed(why: string): EncodingError {
  return new EncodingError("PEM_MALFORMED", {
    what: "PEM text refused",
    why,
    remedy: "write it as RFC 7468 says, with nothing around the blocks",
  });
}
