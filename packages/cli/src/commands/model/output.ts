import type { Inspection } from "@cloister/saved-model";
import { renderTable } from "../../output/table.ts";
import type { Terminal } from "../../output/terminal.ts";

const SHOWN_OPS = 15;
const MIB = 1024 * 1024;
const BAR_WIDTH = 30;

type Signature = Inspection["signatures"][number];

/** Signatures, ops and sizes, for people. */
export function showInspection(terminal: Terminal, inspection: Inspection): void {
  const rows = inspection.signatures.flatMap(({ key, signature }) => [
    ...tensorRows(key, "input", signature.inputs),
    ...tensorRows(key, "output", signature.outputs),
  ]);
  const titles = ["signature", "", "alias", "tensor", "dtype", "shape"].map((title) => ({ title }));
  terminal.line(renderTable(titles, rows));
  terminal.line();
  const ops = [...inspection.ops].slice(0, SHOWN_OPS).map(([op, count]) => `${op} ${count}`);
  terminal.line(`${inspection.nodeCount} nodes in ${inspection.ops.size} ops: ${ops.join(", ")}`);
  terminal.line(`${inspection.bytes} bytes, ${inspection.variableCount} variables (${inspection.variableBytes} bytes)`);
  terminal.line(inspection.isRunnable ? "the embedded engine can run it" : missingText(inspection));
}

/** The same as plain data. */
export function inspectionJson(inspection: Inspection) {
  return {
    runnable: inspection.isRunnable,
    tensorflowVersion: inspection.tensorflowVersion,
    bytes: inspection.bytes,
    nodes: inspection.nodeCount,
    functions: inspection.functionCount,
    variables: inspection.variableCount,
    variableBytes: inspection.variableBytes,
    ops: Object.fromEntries(inspection.ops),
    signatures: Object.fromEntries(inspection.signatures.map((entry) => [entry.key, signatureJson(entry)])),
  };
}

/** Shows a download's progress on the status line. */
export function progressBar(terminal: Terminal): (received: number, total: number | undefined) => void {
  return (received, total) => {
    const megabytes = `${(received / MIB).toFixed(1)} MiB`;
    if (total === undefined) return terminal.status(megabytes);
    const filled = Math.round((received / total) * BAR_WIDTH);
    return terminal.status(`[${"#".repeat(filled).padEnd(BAR_WIDTH)}] ${megabytes} of ${(total / MIB).toFixed(1)} MiB`);
  };
}

function signatureJson({ signature, missing }: Signature) {
  const tensors = (map: Signature["signature"]["inputs"]) =>
    Object.fromEntries(
      [...map].map(([alias, { name, dtype, shape }]) => [alias, { name, dtype, shape: shape ?? null }]),
    );
  return {
    method: signature.methodName,
    inputs: tensors(signature.inputs),
    outputs: tensors(signature.outputs),
    missing,
  };
}

function tensorRows(key: string, role: string, tensors: Signature["signature"]["inputs"]): string[][] {
  return [...tensors].map(([alias, { name, dtype, shape }]) => [key, role, alias, name, dtype, shapeText(shape)]);
}

function shapeText(shape: readonly number[] | undefined): string {
  return shape === undefined ? "unknown rank" : `[${shape.map((size) => (size < 0 ? "?" : size)).join(", ")}]`;
}

function missingText({ signatures }: Inspection): string {
  const ops = new Set(signatures.flatMap(({ missing }) => missing.map(({ op }) => op)));
  return `the embedded engine cannot run all of it (TensorFlow can, see cloister engine); missing: ${[...ops].join(", ")}`;
}
