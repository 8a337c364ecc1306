// Strings as characters: decoding, encoding, n-grams. Ragged results are values with splits.

import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { fromElements, int64Tensor, integers, strings, stringTensor } from "../../host/elements.ts";
import { refuse } from "../../host/refusal.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";

const REPLACEMENT = 0xfffd;

/** One character: its code point, `undefined` where the bytes are none, and how many bytes it takes. */
interface Character {
  readonly code: number | undefined;
  readonly length: number;
}

/** The UTF-8 character at `at`, by the Unicode standard's rule for what is replaced (table 3-7, maximal subparts). */
function characterAt(bytes: Uint8Array, at: number): Character {
  const first = bytes[at] as number;
  if (first < 0x80) return { code: first, length: 1 };
  const size =
    first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xc2 && first < 0xe0 ? 2 : 0;
  if (size === 0) return { code: undefined, length: 1 };
  let code = first & (0xff >> (size + 1));
  for (let i = 1; i < size; i++) {
    const next = bytes[at + i];
    const [low, high] = i === 1 ? secondByte(first) : [0x80, 0xbf];
    if (next === undefined || next < low || next > high) return { code: undefined, length: i };
    code = (code << 6) | (next & 0x3f);
  }
  return { code, length: size };
}

function secondByte(first: number): readonly [number, number] {
  if (first === 0xe0) return [0xa0, 0xbf];
  if (first === 0xed) return [0x80, 0x9f];
  if (first === 0xf0) return [0x90, 0xbf];
  return first === 0xf4 ? [0x80, 0x8f] : [0x80, 0xbf];
}

/** How what is no character is dealt with. */
function replacer(op: Op): (code: number | undefined) => number | undefined {
  const errors = op.attributes.string("errors", "replace");
  const other = op.attributes.int("replacement_char", REPLACEMENT);
  const control = op.attributes.bool("replace_control_characters", false);
  return (code) => {
    if (code === undefined) {
      if (errors === "strict") return refuse("a string is no UTF-8");
      return errors === "ignore" ? undefined : other;
    }
    return control && code < 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d ? other : code;
  };
}

function requireUtf8(op: Op, attribute: string): void {
  const encoding = op.attributes.string(attribute, "UTF-8");
  if (encoding.toUpperCase().replace("-", "") !== "UTF8") unlowerable(`in the encoding ${encoding}`);
}

function splitsTensor(op: Op, splits: readonly number[]): Tensor {
  const dtype = op.attributes.dtype("Tsplits") ?? "int64";
  return fromElements(dtype, [splits.length], dtype === "int64" ? splits.map(BigInt) : splits);
}

/** Row splits, code points, and for the second form where each begins in its string. */
const decode: Lowering = (op) => {
  requireUtf8(op, "input_encoding");
  const replaced = replacer(op);
  const lowering = hostOp(
    () => [
      { dtype: op.attributes.dtype("Tsplits") ?? "int64", shape: [-1] },
      { dtype: "int32", shape: [-1] },
      ...(op.node.op.endsWith("Offsets") ? [{ dtype: "int64" as const, shape: [-1] }] : []),
    ],
    () =>
      ([texts]) => {
        const codes: number[] = [];
        const starts: number[] = [];
        const splits = [0];
        for (const bytes of strings(texts as Tensor)) {
          for (let at = 0; at < bytes.length;) {
            const { code, length } = characterAt(bytes, at);
            const kept = replaced(code);
            if (kept !== undefined) {
              codes.push(kept);
              starts.push(at);
            }
            at += length;
          }
          splits.push(codes.length);
        }
        const values: Tensor = { dtype: "int32", shape: [codes.length], data: Int32Array.from(codes) };
        const offsets = op.node.op.endsWith("Offsets") ? [int64Tensor([starts.length], starts)] : [];
        return [splitsTensor(op, splits), values, ...offsets];
      },
  );
  return lowering(op);
};

/** Operands: code points, row splits. */
const encode: Lowering = (op) => {
  requireUtf8(op, "output_encoding");
  const replaced = replacer(op);
  const lowering = hostOp(
    () => [{ dtype: "string", shape: [-1] }],
    () =>
      ([values, splitsOperand]) => {
        const codes = integers(values as Tensor);
        const splits = integers(splitsOperand as Tensor);
        const texts = splits.slice(1).map((end, row) => {
          const kept = codes.slice(splits[row], end).flatMap((code) => {
            const isCharacter = code >= 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
            return replaced(isCharacter ? code : undefined) ?? [];
          });
          return new Uint8Array(Buffer.from(kept.map((code) => String.fromCodePoint(code)).join(""), "utf8"));
        });
        return [stringTensor([texts.length], texts)];
      },
  );
  return lowering(op);
};

const transcode: Lowering = (op) => {
  requireUtf8(op, "input_encoding");
  requireUtf8(op, "output_encoding");
  const replaced = replacer(op);
  const lowering = hostOp(
    () => [{ dtype: "string", shape: op.input(0).shape }],
    () =>
      ([texts]) => {
        const { shape } = texts as Tensor;
        const converted = strings(texts as Tensor).map((bytes) => {
          let text = "";
          for (let at = 0; at < bytes.length;) {
            const { code, length } = characterAt(bytes, at);
            const kept = replaced(code);
            if (kept !== undefined) text += String.fromCodePoint(kept);
            at += length;
          }
          return new Uint8Array(Buffer.from(text, "utf8"));
        });
        return [stringTensor(shape, converted)];
      },
  );
  return lowering(op);
};

/** N-grams of the tokens of each row. Operands: tokens, row splits. */
const ngrams: Lowering = hostOp(
  (op) => [
    { dtype: "string", shape: [-1] },
    { dtype: op.attributes.dtype("Tsplits") ?? "int64", shape: [-1] },
  ],
  (op) => {
    const { attributes } = op;
    const [separator, left, right] = ["separator", "left_pad", "right_pad"].map((name) =>
      Buffer.from(attributes.string(name, "")),
    );
    const widths = attributes.ints("ngram_widths");
    const padWidth = attributes.int("pad_width", 0);
    const keepsShort = attributes.bool("preserve_short_sequences", false);
    const join = (tokens: readonly Uint8Array[]): Uint8Array =>
      new Uint8Array(
        Buffer.concat(tokens.flatMap((token, i) => (i === 0 ? [token] : [separator as Uint8Array, token]))),
      );
    return ([tokens, splitsOperand]) => {
      const texts = strings(tokens as Tensor);
      const splits = integers(splitsOperand as Tensor);
      const made: Uint8Array[] = [];
      const ends = [0];
      for (const [row, end] of splits.slice(1).entries()) {
        const own = texts.slice(splits[row], end);
        const before = made.length;
        for (const width of widths) {
          const pads = padWidth < 0 ? width - 1 : Math.min(padWidth, width - 1);
          const padded = [
            ...Array<Uint8Array>(pads).fill(left as Uint8Array),
            ...own,
            ...Array<Uint8Array>(pads).fill(right as Uint8Array),
          ];
          for (let at = 0; at + width <= padded.length; at++) made.push(join(padded.slice(at, at + width)));
        }
        if (keepsShort && made.length === before && own.length > 0) made.push(join(own));
        ends.push(made.length);
      }
      return [stringTensor([made.length], made), splitsTensor(op, ends)];
    };
  },
);

/** Parts of strings by characters instead of bytes. Operands: strings, starts, lengths, each for all or one by one. */
export const substrByCharacter: Lowering = hostOp(
  (op) => [{ dtype: "string", shape: op.input(0).shape }],
  () =>
    ([texts, starts, lengths]) => {
      const { shape } = texts as Tensor;
      const [from, count] = [integers(starts as Tensor), integers(lengths as Tensor)];
      const parts = strings(texts as Tensor).map((bytes, index) => {
        const offsets: number[] = [];
        for (let at = 0; at < bytes.length; at += characterAt(bytes, at).length) offsets.push(at);
        const given = from[from.length === 1 ? 0 : index] ?? 0;
        if (given > offsets.length || -given > offsets.length)
          return refuse("a substring begins outside of its string");
        const start = given < 0 ? given + offsets.length : given;
        const end = start + Math.max(count[count.length === 1 ? 0 : index] ?? 0, 0);
        return bytes.slice(offsets[start] ?? bytes.length, offsets[end] ?? bytes.length);
      });
      return [stringTensor(shape, parts.slice(0, elementCount(shape)))];
    },
);

export const UNICODE: LoweringTable = {
  StringNGrams: ngrams,
  UnicodeDecode: decode,
  UnicodeDecodeWithOffsets: decode,
  UnicodeEncode: encode,
  UnicodeTranscode: transcode,
};
