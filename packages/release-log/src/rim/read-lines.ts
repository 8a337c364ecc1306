import { MAX_LINE_BYTES, NEWLINE } from "../log-line.ts";
import type { LogStorage } from "./storage.ts";

const CHUNK_BYTES = 1 << 20;

export interface RawLine {
  /** Without the newline. Valid only until the next line is asked for. */
  readonly line: Uint8Array;
  /** Offsets of its first byte and of the byte after its newline. */
  readonly start: number;
  readonly end: number;
  /** False for bytes at the end that no newline closes. */
  readonly isComplete: boolean;
}

/** Yields the lines of a chunk at a time, so that a million lines cost few promises. Memory is bounded by the chunk. */
export async function* readLines(storage: LogStorage, from = 0): AsyncGenerator<RawLine[]> {
  let rest: Buffer = Buffer.alloc(0);
  let position = from;
  for (;;) {
    const chunk = await storage.read(position + rest.length, CHUNK_BYTES);
    if (chunk.length === 0) break;
    const data =
      rest.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length) : Buffer.concat([rest, chunk]);
    const lines = splitLines(data, position);
    if (lines.length > 0) yield lines;
    const consumed = (lines.at(-1)?.end ?? position) - position;
    rest = data.subarray(consumed);
    position += consumed;
    // A line that never ends is damage. It is passed on in pieces, each of them too long to be taken for anything.
    if (rest.length > MAX_LINE_BYTES) {
      yield [{ line: rest, start: position, end: position + rest.length, isComplete: false }];
      position += rest.length;
      rest = Buffer.alloc(0);
    }
  }
  if (rest.length > 0) yield [{ line: rest, start: position, end: position + rest.length, isComplete: false }];
}

function splitLines(data: Buffer, position: number): RawLine[] {
  const lines: RawLine[] = [];
  for (let start = 0; ;) {
    const newline = data.indexOf(NEWLINE, start);
    if (newline === -1) return lines;
    const end = newline + 1;
    lines.push({ line: data.subarray(start, newline), start: position + start, end: position + end, isComplete: true });
    start = end;
  }
}
