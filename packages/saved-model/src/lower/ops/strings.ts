// Ops on byte strings: host calls all of them.

import { broadcastTogether, sourceIn } from "../../host/broadcast.ts";
import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { fromUtf8, utf8 } from "@cloister/encoding";
import { refuse } from "../../host/refusal.ts";
import { elementsOf, fromElements, int64Tensor, integers, latin1, strings, stringTensor } from "../../host/elements.ts";
import { fingerprint64 } from "../../host/farmhash.ts";
import { compilePattern, replacement } from "../../host/pattern.ts";
import { formatter, parseNumber } from "../../host/number-text.ts";
import { legacyHash64 } from "../../host/murmur.ts";
import { sipHash } from "../../host/siphash.ts";
import { u64 } from "../../host/words.ts";
import { DTYPES, viewOf } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp, results, sameShape } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { broadcastShapes } from "../value.ts";
import { substrByCharacter } from "./unicode.ts";

/** Maps each string. */
function mapped(prepare: (op: Op) => (text: Uint8Array) => Uint8Array): Lowering {
  return hostOp(sameShape("string"), (op) => {
    const map = prepare(op);
    return ([value]) => [stringTensor((value as Tensor).shape, strings(value as Tensor).map(map))];
  });
}

/** ASCII letters only, or all of them where the attribute says that the strings are UTF-8. */
function cased(toCase: (text: string) => string): Lowering {
  return mapped((op) => {
    const isUtf8 = op.attributes.string("encoding", "") === "utf-8";
    const ascii = (bytes: Uint8Array): Uint8Array =>
      bytes.map((byte) => (byte < 0x80 ? toCase(String.fromCharCode(byte)).charCodeAt(0) : byte));
    return isUtf8 ? (bytes) => utf8(toCase(fromUtf8(bytes) ?? "")) : ascii;
  });
}

const isSpace = (byte: number | undefined): boolean => byte === 0x20 || (byte !== undefined && byte >= 9 && byte <= 13);

function strip(bytes: Uint8Array): Uint8Array {
  let [start, end] = [0, bytes.length];
  while (start < end && isSpace(bytes[start])) start += 1;
  while (end > start && isSpace(bytes[end - 1])) end -= 1;
  return bytes.slice(start, end);
}

function concatenated(parts: readonly Uint8Array[], separator: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat(parts.flatMap((part, index) => (index === 0 ? [part] : [separator, part]))));
}

/** Joins operands element by element; scalars go with every element. */
const stringJoin: Lowering = hostOp(
  (op) => [{ dtype: "string", shape: op.inputs.map(({ shape }) => shape).reduce((a, b) => broadcastShapes(a, b)) }],
  (op) => {
    const separator = utf8(op.attributes.string("separator", ""));
    return (inputs) => {
      const shape = inputs.find((value) => value.shape.length > 0)?.shape ?? [];
      const columns = inputs.map(strings);
      const isEven = inputs.every((value) => value.shape.length === 0 || value.shape.join() === shape.join());
      if (!isEven) refuse("strings of different shapes are joined");
      const at = (column: readonly Uint8Array[], index: number): Uint8Array =>
        column[column.length === 1 ? 0 : index] ?? new Uint8Array();
      const joined = Array.from({ length: elementCount(shape) }, (_, index) =>
        concatenated(
          columns.map((column) => at(column, index)),
          separator,
        ),
      );
      return [stringTensor(shape, joined)];
    };
  },
);

function bucketBy(hashOf: (op: Op) => (text: Uint8Array) => bigint): Lowering {
  return hostOp(sameShape("int64"), (op) => {
    const count = op.attributes.bigint("num_buckets", 1n);
    if (count <= 0n) unlowerable("no buckets");
    const hash = hashOf(op);
    return ([value]) => [
      int64Tensor(
        (value as Tensor).shape,
        strings(value as Tensor).map((text) => hash(text) % count),
      ),
    ];
  });
}

/** Under a key, so that nobody who does not know it can choose strings for one bucket. */
const strongBucket = bucketBy((op) => {
  const [first = 0n, second = 0n] = op.attributes.bigints("key");
  return (text) => sipHash(text, [u64(first), u64(second)]);
});

/** As the strings are, empty. */
const emptyStrings: Lowering = hostOp(sameShape("string"), () => ([value]) => {
  const empty = strings(value as Tensor).map(() => new Uint8Array());
  return [stringTensor((value as Tensor).shape, empty)];
});

const asString: Lowering = hostOp(sameShape("string"), (op) => {
  const format = formatter(op.input(0).dtype, {
    precision: op.attributes.int("precision", -1),
    isScientific: op.attributes.bool("scientific", false),
    isShortest: op.attributes.bool("shortest", false),
    width: op.attributes.int("width", -1),
    fill: op.attributes.string("fill", ""),
  });
  return ([value]) => [
    stringTensor(
      (value as Tensor).shape,
      elementsOf(value as Tensor).map((each) => utf8(format(each))),
    ),
  ];
});

const toNumber: Lowering = hostOp(
  sameShape((op) => op.attributes.dtype("out_type") ?? "float"),
  (op) => {
    const dtype = op.attributes.dtype("out_type") ?? "float";
    return ([value]) => [
      fromElements(
        dtype,
        (value as Tensor).shape,
        strings(value as Tensor).map((text) => parseNumber(latin1(text), dtype)),
      ),
    ];
  },
);

const stringLength: Lowering = hostOp(sameShape("int32"), (op) => {
  const isCharacters = op.attributes.string("unit", "BYTE") === "UTF8_CHAR";
  const lengthOf = (text: Uint8Array): number => (isCharacters ? Array.from(fromUtf8(text) ?? "").length : text.length);
  return ([value]) => [fromElements("int32", (value as Tensor).shape, strings(value as Tensor).map(lengthOf))];
});

const substr: Lowering = hostOp(sameShape("string"), () => {
  return ([value, position, length]) => {
    const [from, lengths] = [integers(position as Tensor), integers(length as Tensor)];
    const cut = strings(value as Tensor).map((text, index) => {
      const given = from[from.length === 1 ? 0 : index] ?? 0;
      const start = given < 0 ? given + text.length : given;
      if (start < 0 || start > text.length) return refuse("a position lies outside of its string");
      return text.slice(start, start + (lengths[lengths.length === 1 ? 0 : index] ?? 0));
    });
    return [stringTensor((value as Tensor).shape, cut)];
  };
});

/** The pattern and the rest are attributes (Static...) or constant operands. */
function textOf(op: Op, attribute: string, index: number): string {
  if (op.node.op.startsWith("Static")) return op.attributes.string(attribute, "");
  const { constant } = op.input(index);
  const [bytes] = constant ? strings(constant) : unlowerable("a pattern that is computed");
  return fromUtf8(bytes ?? new Uint8Array()) ?? unlowerable("a pattern that is no text");
}

const regexReplace: Lowering = (op) => {
  const pattern = compilePattern(textOf(op, "pattern", 1), op.attributes.bool("replace_global", true) ? "g" : "");
  const by = replacement(textOf(op, "rewrite", 2));
  const replace = (bytes: Uint8Array): Uint8Array =>
    utf8((fromUtf8(bytes) ?? refuse("a string is no text")).replace(pattern, by));
  return mapped(() => replace)(op.withInputs([op.input(0)]));
};

const regexFullMatch: Lowering = (op) => {
  const pattern = compilePattern(`^(?:${textOf(op, "pattern", 1)})$`, "");
  const test = (bytes: Uint8Array): number => Number(pattern.test(fromUtf8(bytes) ?? refuse("a string is no text")));
  const whole = hostOp(sameShape("bool"), () => ([value]) => [
    fromElements("bool", (value as Tensor).shape, strings(value as Tensor).map(test)),
  ]);
  return whole(op.withInputs([op.input(0)]));
};

/** Parts of each string as a sparse matrix. An empty separator means runs of white space. */
const split: Lowering = hostOp(results(["int64", [-1, 2]], ["string", [-1]], ["int64", [2]]), (op) => {
  const limit = op.attributes.int("maxsplit", -1);
  const skipsEmpty = op.node.op === "StringSplit" && op.attributes.bool("skip_empty", true);
  return ([value, separator]) => {
    const by = latin1(strings(separator as Tensor)[0] ?? new Uint8Array());
    const rows = strings(value as Tensor).map((bytes) => {
      const parts = op.node.op === "StringSplit" ? splitAny(latin1(bytes), by) : splitOnce(latin1(bytes), by, limit);
      return skipsEmpty ? parts.filter((part) => part !== "") : parts;
    });
    const indices = rows.flatMap((row, index) => row.flatMap((_, place) => [index, place]));
    const width = rows.reduce((most, row) => Math.max(most, row.length), 0);
    return [
      int64Tensor([indices.length / 2, 2], indices),
      fromElements("string", [indices.length / 2], rows.flat()),
      int64Tensor([2], [rows.length, width]),
    ];
  };
});

/** Every character of the delimiter parts; without one, every byte is a part. */
function splitAny(text: string, delimiters: string): string[] {
  if (delimiters === "") return text.split("");
  const parts = [""];
  for (const character of text) {
    if (delimiters.includes(character)) parts.push("");
    else parts[parts.length - 1] += character;
  }
  return parts;
}

function splitOnce(text: string, separator: string, limit: number): string[] {
  const whole = separator === "" ? text.replace(/^[ \t\n\v\f\r]+/, "") : text;
  if (separator === "" && whole === "") return [];
  const parts: string[] = [];
  let rest = whole;
  const most = limit < 0 ? Infinity : limit;
  for (;;) {
    if (parts.length >= most) break;
    const found: RegExpExecArray | null = separator === "" ? /[ \t\n\v\f\r]+/.exec(rest) : null;
    const at: number = separator === "" ? (found?.index ?? -1) : rest.indexOf(separator);
    if (at === -1) break;
    parts.push(rest.slice(0, at));
    rest = rest.slice(at + (found?.[0].length ?? separator.length));
    if (separator === "" && rest === "") return parts;
  }
  return [...parts, rest];
}

/** Joins along axes. Without axes nothing is joined. */
const reduceJoin: Lowering = hostOp(
  () => [{ dtype: "string", shape: undefined }],
  (op) => {
    const keeps = op.attributes.bool("keep_dims", false);
    const separator = utf8(op.attributes.string("separator", ""));
    return ([value, axes]) => {
      const { shape } = value as Tensor;
      const reduced = integers(axes as Tensor).map((axis) => (axis < 0 ? axis + shape.length : axis));
      const [axis] = reduced;
      if (reduced.length > 1 && reduced.length !== shape.length)
        return refuse("strings are joined along some of several axes");
      const texts = strings(value as Tensor);
      if (axis === undefined) return [value as Tensor];
      if (reduced.length === shape.length) {
        return [stringTensor(keeps ? shape.map(() => 1) : [], [concatenated(texts, separator)])];
      }
      const size = shape[axis] ?? 1;
      const inner = elementCount(shape.slice(axis + 1));
      const outer = elementCount(shape.slice(0, axis));
      const joined = Array.from({ length: outer * inner }, (_, index) => {
        const start = Math.floor(index / inner) * size * inner + (index % inner);
        return concatenated(
          Array.from({ length: size }, (__, place) => texts[start + place * inner] ?? new Uint8Array()),
          separator,
        );
      });
      return [stringTensor(keeps ? shape.with(axis, 1) : shape.toSpliced(axis, 1), joined)];
    };
  },
);

/** The bytes of strings as numbers; all strings are equally long. */
const decodeRaw: Lowering = hostOp(
  (op) => [
    { dtype: op.attributes.requireDType("out_type"), shape: op.input(0).shape && [...(op.input(0).shape ?? []), -1] },
  ],
  (op) => {
    const dtype = op.attributes.requireDType("out_type");
    if (dtype === "string" || !op.attributes.bool("little_endian", true)) return unlowerable("bytes in that order");
    const { bytes } = DTYPES[dtype];
    return ([value]) => {
      const texts = strings(value as Tensor);
      const size = texts[0]?.length ?? 0;
      if (texts.some(({ length }) => length !== size) || size % bytes !== 0)
        refuse("strings of different lengths are decoded");
      const whole = new Uint8Array(Buffer.concat([...texts]));
      const data = viewOf(dtype, whole);
      return [{ dtype, shape: [...(value as Tensor).shape, size / bytes], data }];
    };
  },
);

/** Comparison of strings. */
function compared(isEqual: boolean): Lowering {
  return hostOp(
    (op) => [{ dtype: "bool", shape: broadcastShapes(op.input(0).shape, op.input(1).shape) }],
    () =>
      ([a, b]) => {
        const [left, right] = [a as Tensor, b as Tensor];
        const shape = broadcastTogether(left.shape, right.shape);
        const [from, other] = [sourceIn(left.shape, shape), sourceIn(right.shape, shape)];
        const [texts, others] = [elementsOf(left), elementsOf(right)];
        const same = Array.from({ length: elementCount(shape) }, (_, i) => texts[from(i)] === others[other(i)]);
        return [
          fromElements(
            "bool",
            shape,
            same.map((each) => Number(each === isEqual)),
          ),
        ];
      },
  );
}

const base64 = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export const STRINGS: LoweringTable = {
  AsString: asString,
  DecodeBase64: mapped(() => (text) => new Uint8Array(Buffer.from(latin1(text), "base64url"))),
  DecodeRaw: decodeRaw,
  EncodeBase64: mapped((op) => {
    const isPadded = op.attributes.bool("pad", false);
    return (bytes) => {
      const text = base64(bytes).toString("base64url");
      return utf8(isPadded ? text.padEnd(Math.ceil(text.length / 4) * 4, "=") : text);
    };
  }),
  Equal: compared(true),
  NotEqual: compared(false),
  ReduceJoin: reduceJoin,
  RegexFullMatch: regexFullMatch,
  RegexReplace: regexReplace,
  StaticRegexFullMatch: regexFullMatch,
  StaticRegexReplace: regexReplace,
  StringJoin: stringJoin,
  StringLength: stringLength,
  StringLower: cased((text) => text.toLowerCase()),
  StringSplit: split,
  StringSplitV2: split,
  StringStrip: mapped(() => strip),
  StringToHashBucket: bucketBy(() => legacyHash64),
  StringToHashBucketFast: bucketBy(() => fingerprint64),
  StringToHashBucketStrong: strongBucket,
  StringToNumber: toNumber,
  StringUpper: cased((text) => text.toUpperCase()),
  ZerosLike: emptyStrings,
  Substr: (op) => (op.attributes.string("unit", "BYTE") === "BYTE" ? substr(op) : substrByCharacter(op)),
};
