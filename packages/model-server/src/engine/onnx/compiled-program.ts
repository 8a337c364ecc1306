import { fstatSync } from "node:fs";
import type { Tensor } from "@cloister/encoding/tensor";
import {
  type ControlStep,
  HostRefusal,
  type HostStep,
  type HostValue,
  ModelState,
  type OnnxStep,
  operandName,
  type Program,
} from "@cloister/saved-model/run";
import { copyTensor } from "../copy-tensor.ts";
import { engineError } from "../failure.ts";
import { createMemoryFile, pathOf } from "./memory-file.ts";
import { RowPlan } from "./row-plan.ts";
import { OnnxSession, type SessionOptions } from "./session.ts";

type CompiledControl = Omit<ControlStep, "bodies"> & { readonly bodies: readonly CompiledProgram[] };
type CompiledStep = HostStep | CompiledControl | { readonly kind: "onnx"; readonly session: OnnxSession };

/** What there is of a program beside its steps. */
type ProgramRim = Pick<Program, "constants" | "outputs" | "keepsRowsApart">;

/** A program of one island, whose optimised graph lies in a memory file. */
export interface KeptProgram extends ProgramRim, Pick<OnnxStep, "inputs"> {
  readonly results: OnnxStep["outputs"];
  /** Of the memory file. It is open for all threads of the process. */
  readonly descriptor: number;
  readonly bytes: number;
}

/** A program whose islands are compiled. */
export class CompiledProgram {
  readonly #steps: readonly CompiledStep[];
  readonly #constants: ReadonlyMap<string, Tensor>;
  readonly #outputs: Program["outputs"];
  readonly #state: ModelState;
  /** Names of the values that steps make. */
  readonly #made: ReadonlySet<string>;
  /** Where a batch may be computed row by row. */
  readonly #rows: RowPlan | undefined;

  private constructor(
    steps: readonly CompiledStep[],
    { constants, outputs, keepsRowsApart }: ProgramRim,
    state: ModelState,
  ) {
    this.#steps = steps;
    this.#constants = constants;
    this.#outputs = outputs;
    this.#state = state;
    this.#rows = keepsRowsApart ? new RowPlan() : undefined;
    this.#made = new Set(steps.flatMap((step) => (step.kind === "onnx" ? step.session.outputs : step.outputs)));
  }

  /** @throws EngineError LOAD_FAILED */
  static async create(program: Program, state: ModelState, options: SessionOptions): Promise<CompiledProgram> {
    const steps: CompiledStep[] = [];
    for (const step of program.steps) {
      if (step.kind === "host") steps.push(step);
      else if (step.kind === "onnx") steps.push({ kind: "onnx", session: await OnnxSession.create(step, options) });
      else {
        const bodies: CompiledProgram[] = [];
        for (const body of step.bodies) bodies.push(await CompiledProgram.create(body, state, options));
        steps.push({ ...step, bodies });
      }
    }
    return new CompiledProgram(steps, program, state);
  }

  /** A program that `keep` has kept. @throws EngineError LOAD_FAILED */
  static async restore(program: KeptProgram, options: SessionOptions): Promise<CompiledProgram> {
    const { inputs, results } = program;
    const session = await OnnxSession.restore(pathOf(program.descriptor), { inputs, outputs: results }, options);
    // Where the host has no part there is no state.
    return new CompiledProgram([{ kind: "onnx", session }], program, new ModelState(new Map(), new Map()));
  }

  /**
   * Optimises a program and keeps what comes of it for `restore`. `undefined` where that cannot be: the host has a part in the program,
   * ONNX Runtime cannot save it, or there are no memory files (a model is never written to a disk). The memory file is the caller's.
   */
  static async keep(program: Program, options: SessionOptions): Promise<KeptProgram | undefined> {
    const [island] = program.steps;
    const file = program.steps.length === 1 && island?.kind === "onnx" ? await createMemoryFile() : undefined;
    if (!file || island?.kind !== "onnx") return undefined;
    const { descriptor } = file;
    try {
      const session = await OnnxSession.create(island, options, pathOf(descriptor));
      await session.release();
      const { constants, outputs, keepsRowsApart } = program;
      const { inputs, outputs: results } = island;
      const { size: bytes } = fstatSync(descriptor);
      return { constants, outputs, keepsRowsApart, inputs, results, descriptor, bytes };
    } catch {
      file.close();
      return undefined;
    }
  }

  /**
   * Computes the outputs. Blocks the thread while native calls run.
   *
   * @throws EngineError INPUT_INVALID
   */
  async run(inputs: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>> {
    return this.#rows ? this.#rows.run(inputs, (part) => this.#run(part)) : this.#run(inputs);
  }

  async #run(inputs: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>> {
    const values = await this.#compute(inputs);
    return new Map([...this.#outputs].map(([alias, { name }]) => [alias, this.#result(values, name)]));
  }

  async #compute(inputs: ReadonlyMap<string, HostValue>): Promise<ReadonlyMap<string, HostValue>> {
    const values = new Map<string, HostValue>([...this.#constants, ...inputs]);
    for (const step of this.#steps) {
      if (step.kind === "host") this.#call(step, values);
      else if (step.kind === "onnx")
        for (const [name, tensor] of await step.session.run(values)) values.set(name, tensor);
      else await control(step, values);
    }
    return values;
  }

  /** The outputs of a body of control flow. They may be shared with what is around it. */
  async runBody(operands: readonly HostValue[]): Promise<HostValue[]> {
    const values = await this.#compute(new Map(operands.map((value, index) => [operandName(index), value])));
    return [...this.#outputs.values()].map(({ name }) => required(values, name));
  }

  /** Results are the caller's to keep; constants and inputs are not. */
  #result(values: ReadonlyMap<string, HostValue>, name: string): Tensor {
    const tensor = required(values, name);
    if ("items" in tensor) throw new Error("an output is a list");
    return this.#made.has(name) && tensor.dtype !== "string" ? tensor : copyTensor(tensor);
  }

  #call({ call, inputs, outputs }: HostStep, values: Map<string, HostValue>): void {
    const operands = inputs.map((name) => required(values, name));
    try {
      const results = call.run(operands, this.#state);
      for (const [index, name] of outputs.entries()) values.set(name, results[index] as HostValue);
    } catch (cause) {
      const why = cause instanceof HostRefusal ? cause.message : "an operand is not what the op takes";
      throw engineError(
        "INPUT_INVALID",
        `the node ${call.node} (${call.op}) refuses the request`,
        why,
        "see the model",
        cause,
      );
    }
  }

  async release(): Promise<void> {
    for (const step of this.#steps) {
      if (step.kind === "onnx") await step.session.release();
      else if (step.kind !== "host") for (const body of step.bodies) await body.release();
    }
  }
}

function required(values: ReadonlyMap<string, HostValue>, name: string): HostValue {
  const value = values.get(name);
  if (value) return value;
  throw engineError("INPUT_MISSING", `the value ${name} is missing`, "the request does not give it", "send it");
}

/** Runs control flow, see `ControlStep`. */
async function control(
  { kind, bodies, inputs, outputs }: CompiledControl,
  values: Map<string, HostValue>,
): Promise<void> {
  let operands = inputs.map((name) => required(values, name));
  if (kind === "branch") {
    const [selector, ...others] = operands;
    operands = (await bodies[chosen(selector, bodies.length)]?.runBody(others)) ?? [];
  } else {
    const [condition, body] = bodies;
    if (!condition || !body) throw new Error("a loop without bodies");
    for (;;) {
      if (!isTrue((await condition.runBody(operands))[0])) break;
      const results = await body.runBody(operands);
      operands = [...results, ...operands.slice(results.length)];
    }
  }
  for (const [index, name] of outputs.entries()) values.set(name, operands[index] as HostValue);
}

function chosen(selector: HostValue | undefined, count: number): number {
  const [value] = selector && "data" in selector && selector.dtype !== "string" ? selector.data : [];
  if (selector?.dtype === "bool") return Number(value);
  const index = Number(value);
  return index >= 0 && index < count ? index : count - 1;
}

function isTrue(value: HostValue | undefined): boolean {
  return value !== undefined && "data" in value && Number(value.data[0]) !== 0;
}
