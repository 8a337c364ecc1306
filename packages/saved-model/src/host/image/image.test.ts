import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { HostRefusal } from "../refusal.ts";
import { decodeJpeg, isJpeg } from "./jpeg.ts";
import type { Picture } from "./picture.ts";
import { decodePng } from "./png.ts";

const RECORDED = join(import.meta.dirname, "../../../test-models/ops/decode_pictures.json");
const { runs } = JSON.parse(readFileSync(RECORDED, "utf8")) as { runs: { inputs: { x: { values: string[] } } }[] };
const PICTURES = (runs[0]?.inputs.x.values ?? []).map((text) => new Uint8Array(Buffer.from(text, "base64")));

function decode(bytes: Uint8Array): Picture {
  return isJpeg(bytes) ? decodeJpeg(bytes) : decodePng(bytes);
}

/** Decodes, or refuses for a reason of the picture's. */
function survives(bytes: Uint8Array): void {
  try {
    const { width, height, channels, samples } = decode(bytes);
    assert.equal(samples.length, width * height * channels);
  } catch (error) {
    assert.ok(error instanceof HostRefusal, String(error));
  }
}

describe("damaged pictures", () => {
  it("decodes the sound ones", () => {
    assert.equal(PICTURES.length, 5);
    for (const picture of PICTURES) assert.ok(decode(picture).samples.length > 0);
  });

  it("refuses those that are cut short, and nothing worse", () => {
    for (const picture of PICTURES)
      for (let length = 0; length < picture.length; length += 7) survives(picture.subarray(0, length));
  });

  it("survives changed bytes", () => {
    let seed = 1;
    const next = (below: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return seed % below;
    };
    for (const picture of PICTURES) {
      for (let round = 0; round < 6; round++) {
        const damaged = picture.slice();
        for (let change = 0; change < 3; change++) damaged[next(damaged.length)] = next(256);
        survives(damaged);
      }
    }
  });

  it("refuses a size that nobody could hold", () => {
    const picture = PICTURES[3]?.slice() ?? new Uint8Array();
    new DataView(picture.buffer).setUint32(16, 0x7fff_ffff);
    assert.throws(() => decode(picture), HostRefusal);
  });
});
