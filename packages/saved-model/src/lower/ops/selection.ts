// Choosing boxes by score and overlap where ONNX's NonMaxSuppression does not go: for all classes at once, and softly.

import type { Tensor } from "@cloister/encoding/tensor";
import { type Box, boxesOf, hardSelection, softSelection } from "../../host/boxes.ts";
import { elementsOf, fromElements, integers } from "../../host/elements.ts";
import { refuse } from "../../host/refusal.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { knownInts } from "../value.ts";

/** No result may have more boxes. */
const MAX_BOXES = 2 ** 20;

function scalar(tensor: Tensor | undefined): number {
  return Number(tensor ? (elementsOf(tensor)[0] ?? 0) : 0);
}

function sizeOf(tensor: Tensor | undefined): number {
  const size = tensor ? (integers(tensor)[0] ?? 0) : 0;
  return size >= 0 && size <= MAX_BOXES ? size : refuse("a number of boxes");
}

function requireFloat(op: Op): void {
  if (op.input(0).dtype !== "float") unlowerable(`on ${op.input(0).dtype}`);
}

/** Operands: boxes [n, 4], scores [n], most boxes, overlap, least score, sigma. */
export const scoredSelection: Lowering = hostOp(
  (op) => {
    const isPadded = op.attributes.bool("pad_to_max_output_size", false);
    const shape = [isPadded ? (knownInts(op.input(2))?.[0] ?? -1) : -1];
    return [
      { dtype: "int32", shape },
      { dtype: "float", shape },
      { dtype: "int32", shape: [] },
    ];
  },
  (op) => {
    requireFloat(op);
    const isPadded = op.attributes.bool("pad_to_max_output_size", false);
    return ([boxOperand, scoreOperand, mostOperand, limit, least, sigma]) => {
      const scores = elementsOf(scoreOperand as Tensor).map(Number);
      const boxes = boxesOf((boxOperand as Tensor).data as Float32Array, scores.length, 0, 4);
      const most = sizeOf(mostOperand);
      const bound = scalar(least);
      const candidates = scores.map((score, index) => ({ index, score })).filter(({ score }) => score > bound);
      const deviation = scalar(sigma);
      const selected =
        deviation > 0
          ? softSelection(boxes, candidates, { most, least: bound, sigma: deviation })
          : hardSelection(boxes, candidates, most, scalar(limit));
      const length = isPadded ? most : selected.length;
      const filled = Array.from({ length }, (_, index) => selected[index] ?? { index: 0, score: 0 });
      return [
        fromElements(
          "int32",
          [length],
          filled.map(({ index }) => index),
        ),
        fromElements(
          "float",
          [length],
          filled.map(({ score }) => score),
        ),
        fromElements("int32", [], [selected.length]),
      ];
    };
  },
);

/** Operands: boxes [batch, n, 1 or classes, 4], scores [batch, n, classes], most of a class, most of all, overlap, least score. */
const combined: Lowering = hostOp(
  (op) => {
    const batch = op.input(0).shape?.[0] ?? -1;
    const most = op.attributes.bool("pad_per_class", false) ? -1 : (knownInts(op.input(3))?.[0] ?? -1);
    return [
      { dtype: "float", shape: [batch, most, 4] },
      { dtype: "float", shape: [batch, most] },
      { dtype: "float", shape: [batch, most] },
      { dtype: "int32", shape: [batch] },
    ];
  },
  (op) => {
    requireFloat(op);
    const isPerClass = op.attributes.bool("pad_per_class", false);
    const isClipped = op.attributes.bool("clip_boxes", true);
    return ([boxOperand, scoreOperand, mostOfClass, mostOfAll, limit, least]) => {
      const [batch = 0, count = 0, classes = 0] = (scoreOperand as Tensor).shape;
      const [, , kinds = 1] = (boxOperand as Tensor).shape;
      if (kinds !== 1 && kinds !== classes) return refuse("boxes and classes do not go together");
      const perClass = sizeOf(mostOfClass);
      const most = isPerClass ? Math.min(sizeOf(mostOfAll), perClass * classes) : sizeOf(mostOfAll);
      if (batch * most > MAX_BOXES) return refuse("a number of boxes");
      const corners = (boxOperand as Tensor).data as Float32Array;
      const scores = (scoreOperand as Tensor).data as Float32Array;
      const found = Array.from({ length: batch }, (_, image) => {
        const all = Array.from({ length: classes }, (__, kind) => {
          const first = (image * count * kinds + (kinds === 1 ? 0 : kind)) * 4;
          const boxes = boxesOf(corners, count, first, kinds * 4);
          const candidates = boxes
            .map((___, index) => ({ index, score: scores[(image * count + index) * classes + kind] ?? 0 }))
            .filter(({ score }) => score > scalar(least));
          return hardSelection(boxes, candidates, perClass, scalar(limit)).map(({ index, score }) => ({
            box: boxes[index] as Box,
            score,
            kind,
          }));
        });
        return all
          .flat()
          .toSorted((a, b) => b.score - a.score)
          .slice(0, most);
      });
      const part = <T>(of: (each: (typeof found)[number][number]) => T, absent: T): T[] =>
        found.flatMap((each) => Array.from({ length: most }, (_, index) => (each[index] ? of(each[index]) : absent)));
      const clip = (corner: number): number => (isClipped ? Math.min(Math.max(corner, 0), 1) : corner);
      return [
        fromElements("float", [batch, most, 4], part(({ box }) => box.map(clip), [0, 0, 0, 0]).flat()),
        fromElements(
          "float",
          [batch, most],
          part(({ score }) => score, 0),
        ),
        fromElements(
          "float",
          [batch, most],
          part(({ kind }) => kind, 0),
        ),
        fromElements(
          "int32",
          [batch],
          found.map(({ length }) => length),
        ),
      ];
    };
  },
);

export const SELECTION: LoweringTable = {
  CombinedNonMaxSuppression: combined,
};
