import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { restoreSimulatedPlatform } from "@cloister/attestation/simulated";
import { fromHex, Secret } from "@cloister/encoding";

// Plays a TEE's attestation files with named pipes (gramine.md D.1). Arguments: kind, folder, state file of the SIMULATED
// platform that signs, measurement in hex. Says what it does on its channel to the parent. It is for one program that uses the files as they
// are meant; e2e/support/gramine-device plays them for any.

const MRTD = new Uint8Array(48).fill(0x5b);

const [kind = "", folder = "", state = "", measurement = ""] = process.argv.slice(2);
const mrenclave = fromHex(measurement) ?? new Uint8Array(32);
const platform = restoreSimulatedPlatform(new Secret(new Uint8Array(await readFile(state)), "state"));
const tell = (message: object): void => void process.send?.(message);

/** Opening a pipe waits for the other end; reading ends when that one closes. */
async function gramine(): Promise<void> {
  for (;;) {
    const reportData = new Uint8Array(await readFile(join(folder, "user_report_data")));
    tell({ reportData: Buffer.from(reportData).toString("hex") });
    await writeFile(join(folder, "quote"), platform.quote({ reportData, mrenclave, mrsigner: new Uint8Array(32) }));
  }
}

async function gramineKey(): Promise<void> {
  for (;;) tell({ key: (await readFile(join(folder, "keys/default"))).toString("hex") });
}

async function tdx(): Promise<void> {
  for (let generation = 1; ; generation++) {
    const reportData = new Uint8Array(await readFile(join(folder, "inblob")));
    tell({ reportData: Buffer.from(reportData).toString("hex") });
    await writeFile(join(folder, "generation"), `${generation}\n`);
    await writeFile(join(folder, "outblob"), platform.tdQuote({ reportData, mrtd: MRTD }));
  }
}

// Whoever started it is gone.
process.on("disconnect", () => process.exit(0));
tell({ ready: true });
await Promise.all(kind === "tdx" ? [tdx()] : [gramine(), gramineKey()]);
