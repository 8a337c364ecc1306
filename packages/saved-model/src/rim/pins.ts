// The file of pinned digests: lines of `SHA-256 in hex, two spaces, URL`, as sha256sum writes them.

import { readFile, rename, writeFile } from "node:fs/promises";
import { fault } from "../error.ts";

/** Digest of each URL. */
export type Pins = ReadonlyMap<string, string>;

const LINE = /^([0-9a-f]{64}) {2}(\S+)$/;

/** The pins of a file; none where it does not exist. @throws SavedModelError DOWNLOAD_DIGEST where it is damaged */
export async function readPins(path: string): Promise<Pins> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Map();
    throw error;
  }
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const [, sha256, url] = LINE.exec(line) ?? [];
      if (sha256 === undefined || url === undefined) {
        throw fault(
          "DOWNLOAD_DIGEST",
          "the file of pinned digests is damaged",
          "a line is not `digest  URL`",
          `repair ${path}`,
        );
      }
      return [url, sha256];
    }),
  );
}

/** Replaces the file in one step. */
export async function writePins(path: string, pins: Pins): Promise<void> {
  const lines = [...pins].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([url, sha256]) => `${sha256}  ${url}\n`);
  await writeFile(`${path}.new`, lines.join(""));
  await rename(`${path}.new`, path);
}

/** @throws SavedModelError DOWNLOAD_DIGEST where the URL is pinned to another digest */
export function checkPin(pins: Pins, url: string, sha256: string): void {
  const pinned = pins.get(url);
  if (pinned === undefined || pinned === sha256) return;
  throw fault(
    "DOWNLOAD_DIGEST",
    `${url} has changed`,
    `its SHA-256 is ${sha256}, pinned is ${pinned}`,
    "do not use it; if the change is wanted and a file of pins holds it, remove its line there",
  );
}
