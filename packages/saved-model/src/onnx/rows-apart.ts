import type { GraphNode, MixedGraph, OnnxNode } from "./model.ts";

/** What a rule asks about the operands of a node. */
interface Operands {
  readonly node: OnnxNode;
  /** Rank of the operand where it is made of rows; `undefined` for constants. */
  readonly rank: (index: number) => number | undefined;
  /** Shape of the operand where it is a constant of the graph. */
  readonly constant: (index: number) => readonly number[] | undefined;
  /** Integers of a constant operand, or of the attribute that older forms of the op have in its place. */
  readonly integers: (index: number, attribute: string) => readonly number[] | undefined;
}

/** The rank of a node's result when its row n is made of rows n of its operands alone, else `undefined`. */
type Rule = (operands: Operands) => number | undefined;

const sameRank: Rule = ({ node, rank, constant }) =>
  node.inputs.every((name, index) => index === 0 || name === "" || constant(index)) ? rank(0) : undefined;

/** Operands that are broadcast: rows have the rank of the result, and constants are one row of it at most. */
const broadcast: Rule = ({ node, rank, constant }) => {
  const ranks = node.inputs.map((_, index) => rank(index));
  const most = Math.max(...ranks.map((each) => each ?? 0));
  const isFit = node.inputs.every((_, index) => {
    const shape = constant(index);
    if (!shape) return ranks[index] === most;
    return shape.length < most || (shape.length === most && shape[0] === 1);
  });
  return isFit && most > 0 ? most : undefined;
};

const product: Rule = ({ rank, constant }) => (rank(0) === 2 && constant(1)?.length === 2 ? 2 : undefined);

const general: Rule = (operands) => {
  const { node, constant } = operands;
  const addend = node.inputs.length < 3 ? [] : constant(2);
  const isRows = addend !== undefined && (addend.length < 2 || addend[0] === 1);
  return node.attributes["transA"] !== 1 && isRows ? product(operands) : undefined;
};

const reduction: Rule = ({ node, rank, integers }) => {
  const axes = integers(1, "axes");
  return axes && without(rank(0), axes, node.attributes["keepdims"] !== 0);
};

const squeeze: Rule = ({ rank, integers }) => {
  const axes = integers(1, "axes");
  return axes && without(rank(0), axes, false);
};

function without(rank: number | undefined, axes: readonly number[], isKept: boolean): number | undefined {
  if (rank === undefined || axes.length === 0 || axes.some((axis) => axis === 0 || axis <= -rank)) return undefined;
  return isKept ? rank : rank - axes.length;
}

const alongAxis: Rule = ({ node, rank }) => {
  const axis = node.attributes["axis"];
  const own = rank(0);
  return own !== undefined && typeof axis === "number" && axis !== 0 && axis > -own ? own : undefined;
};

const concat: Rule = (operands) => {
  const { node, rank } = operands;
  return node.inputs.every((_, index) => rank(index) !== undefined) ? alongAxis(operands) : undefined;
};

const transpose: Rule = ({ node, rank }) => {
  const order = node.attributes["perm"];
  return Array.isArray(order) && order[0] === 0 ? rank(0) : undefined;
};

/** Zeros around images; the constant holds all begins, then all ends. */
const pad: Rule = (operands) => {
  const sizes = operands.integers(1, "pads");
  return sizes && sizes[0] === 0 && sizes[sizes.length / 2] === 0 ? sameRank(operands) : undefined;
};

/** Rows stay where the new shape takes their number over. */
const reshape: Rule = ({ node, rank, integers }) => {
  const shape = integers(1, "shape");
  return rank(0) !== undefined && node.attributes["allowzero"] !== 1 && shape?.[0] === 0 ? shape.length : undefined;
};

const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ...["Conv", "BatchNormalization", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"].map(like(sameRank)),
  ...["Relu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Selu", "LeakyRelu"].map(like(sameRank)),
  ...["Softplus", "Softsign", "Erf", "Exp", "Log", "Neg", "Abs", "Sqrt", "Reciprocal", "Identity", "Cast", "IsNaN"].map(
    like(sameRank),
  ),
  ...["Add", "Sub", "Mul", "Div", "Min", "Max", "Pow", "PRelu", "Greater", "Less", "Where"].map(like(broadcast)),
  ...["ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum"].map(like(reduction)),
  ...["Softmax", "LogSoftmax"].map(like(alongAxis)),
  ["Concat", concat],
  ["Gemm", general],
  ["MatMul", product],
  ["Pad", pad],
  ["Reshape", reshape],
  ["Squeeze", squeeze],
  ["Transpose", transpose],
]);

function like(rule: Rule): (op: string) => readonly [string, Rule] {
  return (op) => [op, rule];
}

/**
 * Whether the graph is a network of convolutions whose outputs have a row for each row of the inputs, made of that row alone, so
 * that a batch may be computed in parts. What is not known to keep rows apart does not.
 */
export function keepsRowsApart(graph: MixedGraph, outputs: readonly string[]): boolean {
  const ranks = new Map<string, number>();
  for (const { name, shape } of graph.inputs) {
    if (shape?.[0] !== -1) return false;
    ranks.set(name, shape.length);
  }
  for (const node of graph.nodes) {
    const rank = resultRank(graph, node, ranks);
    const [output] = node.outputs;
    if (rank === undefined || output === undefined || node.outputs.length > 1) return false;
    ranks.set(output, rank);
  }
  return outputs.every((name) => ranks.has(name)) && graph.nodes.some((node) => "op" in node && node.op === "Conv");
}

function resultRank(graph: MixedGraph, node: GraphNode, ranks: ReadonlyMap<string, number>): number | undefined {
  if ("host" in node || node.subgraphs) return undefined;
  const initializer = (index: number) => graph.initializers.get(node.inputs[index] ?? "");
  return RULES.get(node.op)?.({
    node,
    rank: (index) => ranks.get(node.inputs[index] ?? ""),
    constant: (index) => initializer(index)?.shape,
    integers: (index, attribute) => {
      const constant = initializer(index);
      const given = node.attributes[attribute];
      if (constant) return Array.from(constant.make().data as ArrayLike<number | bigint>, Number);
      return Array.isArray(given) ? (given as readonly number[]) : undefined;
    },
  });
}
