import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TestIdentity } from "@cloister/model-server/testing";
import { spawnCli } from "./cli.ts";

/** Writes the text of an `ssl.cfg` as `tensorflow_model_server` reads it, and gives its path. With `ca` clients are verified. */
export async function writeSslConfig(folder: string, { key, cert }: TestIdentity, ca?: string): Promise<string> {
  const quoted = (pem: string): string => `"${pem.replaceAll("\n", "\\n")}"`;
  const clients = ca === undefined ? "" : `custom_ca: ${quoted(ca)} client_verify: true`;
  const path = join(folder, "ssl.cfg");
  await writeFile(path, `server_key: ${quoted(key)} server_cert: ${quoted(cert)} ${clients}`);
  return path;
}

/** `cloister serve` in a process of its own, once it listens, and the port that it took. */
export async function spawnServe(folder: string, flags: readonly string[]) {
  const process = spawnCli(["serve", "--json", ...flags], folder);
  if (process.stdout === null) throw new Error("the output is piped");
  for await (const line of createInterface(process.stdout)) {
    const { event, grpc } = JSON.parse(line) as { event: string; grpc?: { port: number } };
    if (event !== "listening" || grpc === undefined) continue;
    process.stdout.resume();
    return { process, port: grpc.port };
  }
  throw new Error("the server ended before it listened");
}
