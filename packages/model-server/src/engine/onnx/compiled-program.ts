import type { Tensor } from "@cloister/encoding/tensor";
import { HostRefusal, type HostStep, type ModelState, type Program } from "@cloister/saved-model";
import { copyTensor } from "../copy-tensor.ts";
import { engineError } from "../failure.ts";

import { OnnxSession, type SessionOptions } from "./session.ts";

type CompiledStep = HostStep | { readonly kind: "onnx"; readonly session: OnnxSession };

/** A program whose islands are compiled. */
export class CompiledProgram {
  readonly #steps: readonly CompiledStep[];
  readonly #constants: ReadonlyMap<string, Tensor>;
  readonly #outputs: Program["outputs"];
  readonly #state: ModelState;
  /** Names of the values that steps make. */
  readonly #made: ReadonlySet<string>;

  private constructor(steps: readonly CompiledStep[], program: Program, state: ModelState) {
    this.#steps = steps;
    this.#constants = program.constants;
    this.#outputs = program.outputs;
    this.#state = state;
    const made = program.steps.flatMap((step) =>
      step.kind === "host" ? step.outputs : step.outputs.map(({ name }) => name),
    );
    this.#made = new Set(made);
  }

  /** @throws EngineError LOAD_FAILED */
  static async create(program: Program, state: ModelState, options: SessionOptions): Promise<CompiledProgram> {
    const steps: CompiledStep[] = [];
    for (const step of program.steps) {
      steps.push(step.kind === "host" ? step : { kind: "onnx", session: await OnnxSession.create(step, options) });
    }
    return new CompiledProgram(steps, program, state);
  }

  /**
   * Computes the outputs. Blocks the thread while native calls run.
   *
   * @throws EngineError INPUT_INVALID
   */
  async run(inputs: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>> {
    const values = new Map([...this.#constants, ...inputs]);
    for (const step of this.#steps) {
      if (step.kind === "host") this.#call(step, values);
      else for (const [name, tensor] of await step.session.run(values)) values.set(name, tensor);
    }
    return new Map([...this.#outputs].map(([alias, { name }]) => [alias, this.#result(values, name)]));
  }

  /** Results are the caller's to keep; constants and inputs are not. */
  #result(values: ReadonlyMap<string, Tensor>, name: string): Tensor {
    const tensor = required(values, name);
    return this.#made.has(name) && tensor.dtype !== "string" ? tensor : copyTensor(tensor);
  }

  #call({ call, inputs, outputs }: HostStep, values: Map<string, Tensor>): void {
    const operands = inputs.map((name) => required(values, name));
    try {
      const results = call.run(operands, this.#state);
      for (const [index, name] of outputs.entries()) values.set(name, results[index] as Tensor);
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
    for (const step of this.#steps) if (step.kind === "onnx") await step.session.release();
  }
}

function required(values: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const value = values.get(name);
  if (value) return value;
  throw engineError("INPUT_MISSING", `the value ${name} is missing`, "the request does not give it", "send it");
}
