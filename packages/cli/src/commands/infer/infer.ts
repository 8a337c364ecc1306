import { createChannel, PredictClient, topK, type VerifiedReplica } from "@cloister/client";
import { Command } from "commander";
import { wholeNumber } from "../../flags.ts";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { readText } from "../../read-document.ts";
import { channelOptionsOf, type ClientFlags, withClientOptions } from "../client-options.ts";
import { type InputFlags, inputSlot, makeInput, withInputOptions } from "./input.ts";
import { predictionJson, replicaJson, showPrediction, showReplica } from "./output.ts";

interface InferFlags extends ClientFlags, InputFlags {
  readonly model: string;
  readonly labels?: string;
  readonly top: number;
  readonly deadlineMs: number;
  readonly explain?: boolean;
  readonly json?: boolean;
}

/** `cloister infer`: one prediction, from a replica that has proved what it is. */
export function inferCommand(setExit: (code: number) => void): Command {
  const command = new Command("infer")
    .description("Send one prediction to a server, and first verify what it is (--attest, --mrenclave).")
    .option("--model <name>", "model to ask", "digits");
  return withInputOptions(withClientOptions(command))
    .option("--labels <file>", "one label a line, by class number")
    .option("--top <n>", "classes to show", wholeNumber(1, 1000), 5)
    .option("--deadline-ms <n>", "time for the call", wholeNumber(1, 3_600_000), 30_000)
    .option("--explain", "print the verification steps and the evidence")
    .option("--json", "print one JSON document")
    .action(async (flags: InferFlags) => setExit(await infer(flags)));
}

async function infer(flags: InferFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const verified: VerifiedReplica[] = [];
  const channel = createChannel(await channelOptionsOf(flags, (replica) => verified.push(replica)));
  try {
    const client = new PredictClient(channel);
    const slot = await inputSlot(client, flags.model, flags);
    const tensor = await makeInput(slot, flags);
    const { model, signature, deadlineMs } = flags;
    const startedAt = performance.now();
    const prediction = await client.predict(
      { model, signature, inputs: new Map([[slot.alias, tensor]]) },
      { deadlineMs },
    );
    const latencyMs = performance.now() - startedAt;
    const labels = flags.labels === undefined ? [] : (await readText(flags.labels)).split(/\r?\n/);
    const rank = (scores: Parameters<typeof topK>[0]) => topK(scores, flags.top, labels);
    if (flags.explain === true) for (const replica of verified) showReplica(terminal, replica);
    showPrediction(terminal, prediction, rank, latencyMs, verified);
    if (flags.json === true) {
      const document = {
        ok: true,
        ...predictionJson(prediction, rank),
        latencyMs,
        attested: verified.length > 0,
        ...(flags.explain === true && { verification: verified.map(replicaJson) }),
      };
      process.stdout.write(`${JSON.stringify(document)}\n`);
    }
    return EXIT.done;
  } finally {
    await channel.close();
  }
}
