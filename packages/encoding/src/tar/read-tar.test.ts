import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "../bytes.ts";
import { readTar } from "./read-tar.ts";

interface Entry {
  readonly name: string;
  readonly type?: string;
  readonly content?: string;
}

/** An archive as POSIX describes it; other fields than these may be empty. */
function tar(entries: readonly Entry[]): Uint8Array {
  const blocks = entries.flatMap(({ name, type = "0", content = "" }) => {
    const header = new Uint8Array(512);
    const put = (text: string, at: number): void => header.set(utf8(text), at);
    put(name, 0);
    put(`${content.length.toString(8).padStart(11, "0")}\0`, 124);
    put("        ", 148);
    put(type, 156);
    put("ustar\u000000", 257);
    put(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
    );
    const body = new Uint8Array(Math.ceil(content.length / 512) * 512);
    body.set(utf8(content));
    return [...header, ...body];
  });
  return Uint8Array.from([...blocks, ...new Uint8Array(1024)]);
}

const read = (archive: Uint8Array, options?: { maxEntries: number }) =>
  [...readTar(archive, options)].map(({ path, kind, content }) => [path, kind, new TextDecoder().decode(content)]);

test("files, folders and links are told apart, and long names stand for the next entry only", () => {
  const long = "d/".repeat(80);
  const archive = tar([
    { name: "./a/", type: "5" },
    { name: "./a/b", content: "one" },
    { name: "././@LongLink", type: "L", content: `${long}c\0` },
    { name: "short", content: "two" },
    { name: "pax", type: "x", content: "14 path=d/e/f\n" },
    { name: "short", content: "" },
    { name: "link", type: "2" },
  ]);
  assert.deepEqual(read(archive), [
    ["a/", "folder", ""],
    ["a/b", "file", "one"],
    [`${long}c`, "file", "two"],
    ["d/e/f", "file", ""],
    ["link", "other", ""],
  ]);
});

test("an archive that is cut off, changed, or holds more entries than allowed is TAR_MALFORMED", () => {
  const archive = tar([
    { name: "a", content: "x".repeat(600) },
    { name: "b", content: "y" },
  ]);
  assert.throws(() => read(archive.subarray(0, 900)), { code: "TAR_MALFORMED" });
  assert.throws(() => read(archive.with(0, 0x62)), { code: "TAR_MALFORMED" });
  assert.throws(() => read(archive.with(124, 0x39)), { code: "TAR_MALFORMED" });
  assert.throws(() => read(archive, { maxEntries: 1 }), { code: "TAR_MALFORMED" });
  assert.equal(read(archive, { maxEntries: 2 }).length, 2);
});
