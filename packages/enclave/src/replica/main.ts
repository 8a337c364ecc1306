import { isCodedError } from "@cloister/encoding";
import { acceptHostOptions } from "../manifest/host-options.ts";
import { decodeManifest } from "../manifest/manifest.ts";
import { SimulatedDriver } from "../simulated/driver.ts";
import { type FromReplica, ToReplica } from "../simulated/messages.ts";
import { jsonLog } from "./log.ts";
import type { Replica } from "./replica.ts";
import { runReplica } from "./run.ts";

// The entry point of a replica in a SIMULATED TEE. It reads no arguments and no environment: what it is comes in the measured
// manifest, what the host may choose comes beside it, and both arrive over the channel to the platform.

const send = (message: FromReplica): void => {
  process.send?.(message);
};
const driver = new SimulatedDriver(send);
let replica: Replica | undefined;

async function start(message: Extract<ToReplica, { kind: "start" }>): Promise<void> {
  const manifest = decodeManifest(new Uint8Array(Buffer.from(message.manifest, "base64")));
  const hostOptions = acceptHostOptions(message.hostOptions);
  const log = jsonLog({ platform: driver.name, replica: hostOptions.replicaId });
  const onPhase = (name: string, ms: number): void => send({ kind: "phase", name, ms });
  replica = await runReplica({ config: manifest.config, hostOptions, driver, log, onPhase, onLost: giveUp });
  send({ kind: "ready", ...replica.address, generation: replica.generation });
}

function giveUp(error: unknown): void {
  const code = isCodedError(error) ? error.code : "INTERNAL";
  const message = isCodedError(error) ? error.message : "an unexpected error ended the replica";
  jsonLog({ platform: driver.name })("refused", { code, message });
  const end = (): void => process.exit(1);
  if (process.send === undefined) end();
  else process.send({ kind: "refused", code, message } satisfies FromReplica, end);
}

async function stop(): Promise<void> {
  await replica?.stop();
  process.exit(0);
}

process.on("message", (raw) => {
  const parsed = ToReplica.safeParse(raw);
  if (!parsed.success) return;
  switch (parsed.data.kind) {
    case "start":
      start(parsed.data).catch(giveUp);
      break;
    case "stop":
      stop().catch(giveUp);
      break;
    case "quote":
    case "quote-failed":
      driver.deliver(parsed.data);
      break;
  }
});

// The platform is gone: so is the enclave. Nobody could ask for its evidence any more.
process.on("disconnect", () => process.exit(0));
// Ctrl-C goes to the whole process group; the platform decides when a replica stops.
process.on("SIGINT", () => undefined);
process.on("uncaughtException", giveUp);
process.on("unhandledRejection", giveUp);
