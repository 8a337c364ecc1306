import type { LoweringTable } from "./op.ts";
import { ACTIVATION } from "./ops/activation.ts";
import { ARITHMETIC } from "./ops/arithmetic.ts";
import { BLOCKS } from "./ops/blocks.ts";
import { CONVOLUTION } from "./ops/convolution.ts";
import { DETECTION } from "./ops/detection.ts";
import { LIST } from "./ops/list.ts";
import { LOGIC } from "./ops/logic.ts";
import { MATMUL } from "./ops/matmul.ts";
import { NORMALIZATION } from "./ops/normalization.ts";
import { PADDING } from "./ops/padding.ts";
import { PARSE_EXAMPLE } from "./ops/parse-example.ts";
import { PARSE_SEQUENCE_EXAMPLE } from "./ops/parse-sequence-example.ts";
import { POOLING } from "./ops/pooling.ts";
import { CTC } from "./ops/ctc.ts";
import { CUMULATIVE } from "./ops/cumulative.ts";
import { DECOMPOSITION } from "./ops/decomposition.ts";
import { MESSAGES } from "./ops/messages.ts";
import { QUANTIZATION } from "./ops/quantization.ts";
import { QUANTIZING } from "./ops/quantizing.ts";
import { RANKING } from "./ops/ranking.ts";
import { REDUCTION } from "./ops/reduction.ts";
import { SHAPE } from "./ops/shape.ts";
import { SLICING } from "./ops/slicing.ts";
import { FUSED } from "./ops/fused.ts";
import { SEGMENTS } from "./ops/segments.ts";
import { SPARSE } from "./ops/sparse.ts";
import { STRIDED_SLICE } from "./ops/strided-slice.ts";
import { STRINGS } from "./ops/strings.ts";
import { VOLUME } from "./ops/volume.ts";
import { BITS } from "./ops/bits.ts";
import { COUNTING } from "./ops/counting.ts";
import { SPECIAL } from "./ops/special.ts";
import { RAGGED } from "./ops/ragged.ts";
import { SPARSE_ARITHMETIC } from "./ops/sparse-arithmetic.ts";
import { RESAMPLING } from "./ops/resampling.ts";
import { COLOR } from "./ops/color.ts";
import { PICTURE } from "./ops/picture.ts";
import { UNICODE } from "./ops/unicode.ts";
import { MATRIX } from "./ops/matrix.ts";
import { CSV } from "./ops/csv.ts";
import { UNIQUE } from "./ops/unique.ts";
import { WARP } from "./ops/warp.ts";
import { CROP } from "./ops/crop.ts";
import { CROSSING } from "./ops/crossing.ts";
import { RANDOM } from "./ops/random.ts";
import { SELECTION } from "./ops/selection.ts";
import { SETS } from "./ops/sets.ts";
import { UNSIGNED } from "./ops/unsigned.ts";
import { WINDOWS } from "./ops/windows.ts";
import { STATE } from "./state-ops.ts";

function tableOf(tables: readonly LoweringTable[]): ReadonlyMap<string, LoweringTable[string]> {
  return new Map(tables.flatMap((table) => Object.entries(table)));
}

/** All ops that become ONNX nodes. Constants, variables, calls and control flow are handled in lower.ts. */
export const LOWERINGS = tableOf([
  ACTIVATION,
  ARITHMETIC,
  BLOCKS,
  CONVOLUTION,
  DETECTION,
  FUSED,
  LIST,
  LOGIC,
  MATMUL,
  NORMALIZATION,
  PADDING,
  POOLING,
  QUANTIZATION,
  RANKING,
  REDUCTION,
  SHAPE,
  SLICING,
  STRIDED_SLICE,
  VOLUME,
]);

/** All ops that become host calls; where both tables have one, this is for strings. */
export const HOST_LOWERINGS = tableOf([
  CROP,
  CTC,
  CUMULATIVE,
  DECOMPOSITION,
  MESSAGES,
  QUANTIZING,
  CSV,
  UNIQUE,
  WARP,
  CROSSING,
  RANDOM,
  SELECTION,
  MATRIX,
  UNICODE,
  PICTURE,
  COLOR,
  RESAMPLING,
  SPARSE_ARITHMETIC,
  RAGGED,
  SPECIAL,
  COUNTING,
  BITS,
  PARSE_EXAMPLE,
  PARSE_SEQUENCE_EXAMPLE,
  SEGMENTS,
  SPARSE,
  SETS,
  STATE,
  STRINGS,
  UNSIGNED,
  WINDOWS,
]);

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
