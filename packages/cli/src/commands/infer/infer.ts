import { newTraceParent, topK, type VerifiedReplica } from "@cloister/client";
import { Command } from "commander";
import { wholeNumber } from "../../flags.ts";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { readText } from "../../read-document.ts";
import { type CallFlags, callOptionsOf, openClient, withCallOptions } from "../open-client.ts";
import { type InputFlags, inputSlot, makeInput, withInputOptions } from "./input.ts";
import { predictionJson, replicaJson, showPrediction, showReplica } from "./output.ts";

interface InferFlags extends CallFlags, InputFlags {
  readonly model: string;
  readonly labels?: string;
  readonly top: number;
  readonly trace?: boolean;
  readonly explain?: boolean;
  readonly json?: boolean;
}

/** `cloister infer`: one prediction, from a replica that has proved what it is. */
export function inferCommand(setExit: (code: number) => void): Command {
  const command = new Command("infer")
    .description("Send one prediction to a server, and first verify what it is (--attest, --mrenclave).")
    .option("--model <name>", "model to ask", "digits");
  return withInputOptions(withCallOptions(command))
    .option("--labels <file>", "one label a line, by class number")
    .option("--top <n>", "classes to show", wholeNumber(1, 1000), 5)
    .option("--trace", "have the call recorded by the server's tracing, and print the trace's id")
    .option("--explain", "print the verification steps and the evidence")
    .option("--json", "print one JSON document")
    .action(async (flags: InferFlags) => setExit(await infer(flags)));
}

async function infer(flags: InferFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const verified: VerifiedReplica[] = [];
  const trace = flags.trace === true ? newTraceParent() : undefined;
  // What is sent twice goes over two connections.
  const connections = flags.hedgeAfterMs === undefined ? 1 : 2;
  const client = await openClient(flags, connections, (replica) => verified.push(replica));
  try {
    const slot = await inputSlot(client, flags.model, flags);
    const tensor = await makeInput(slot, flags);
    const { model, signature } = flags;
    const startedAt = performance.now();
    const prediction = await client.predict(
      { model, signature, inputs: new Map([[slot.alias, tensor]]) },
      { ...callOptionsOf(flags), ...(trace !== undefined && { traceParent: trace.traceParent }) },
    );
    const latencyMs = performance.now() - startedAt;
    const labels = flags.labels === undefined ? [] : (await readText(flags.labels)).split(/\r?\n/);
    const rank = (scores: Parameters<typeof topK>[0]) => topK(scores, flags.top, labels);
    if (flags.explain === true) for (const replica of verified) showReplica(terminal, replica);
    showPrediction(terminal, prediction, rank, latencyMs, verified);
    if (trace !== undefined) terminal.line(`trace ${trace.traceId}`);
    if (flags.json === true) {
      const document = {
        ok: true,
        ...predictionJson(prediction, rank),
        latencyMs,
        attested: verified.length > 0,
        ...(trace !== undefined && { traceId: trace.traceId }),
        ...(flags.explain === true && { verification: verified.map(replicaJson) }),
      };
      process.stdout.write(`${JSON.stringify(document)}\n`);
    }
    return EXIT.done;
  } finally {
    await client.close();
  }
}
