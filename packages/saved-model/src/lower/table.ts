import type { LoweringTable } from "./op.ts";
import { ACTIVATION } from "./ops/activation.ts";
import { ARITHMETIC } from "./ops/arithmetic.ts";
import { CONVOLUTION } from "./ops/convolution.ts";
import { LOGIC } from "./ops/logic.ts";
import { MATMUL } from "./ops/matmul.ts";
import { NORMALIZATION } from "./ops/normalization.ts";
import { PADDING } from "./ops/padding.ts";
import { POOLING } from "./ops/pooling.ts";
import { REDUCTION } from "./ops/reduction.ts";
import { SHAPE } from "./ops/shape.ts";
import { SLICING } from "./ops/slicing.ts";
import { STRIDED_SLICE } from "./ops/strided-slice.ts";

/** All ops with a lowering of their own. Constants, variables and calls are handled in lower.ts. */
export const LOWERINGS: ReadonlyMap<string, LoweringTable[string]> = new Map(
  [
    ACTIVATION,
    ARITHMETIC,
    CONVOLUTION,
    LOGIC,
    MATMUL,
    NORMALIZATION,
    PADDING,
    POOLING,
    REDUCTION,
    SHAPE,
    SLICING,
    STRIDED_SLICE,
  ].flatMap((table) => Object.entries(table)),
);

/** Ops that give their operands as they are: at inference none of them does anything. */
export const PASS_THROUGH: ReadonlySet<string> = new Set([
  "CheckNumerics",
  "EnsureShape",
  "Identity",
  "IdentityN",
  "PlaceholderWithDefault",
  "PreventGradient",
  "Snapshot",
  "StopGradient",
]);
