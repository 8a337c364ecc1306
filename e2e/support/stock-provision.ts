// A client of Gramine's provisioning protocol as a process, for a test whose broker is in another network namespace:
// node stock-provision.ts ADDRESS PORT NAME CA PLATFORM MRENCLAVE. It plays an enclave on the SIMULATED platform of that file, of
// Gramine 1.9, and prints the SHA-256 of the key that it got.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { restoreSimulatedPlatform } from "@cloister/attestation/simulated";
import { fromHex, Secret } from "@cloister/encoding";
import { connectEnclave, createEnclave, stockProvision } from "../../packages/broker/src/testing/stock-client.ts";

const [, , host = "", port = "", serverName = "", ca = "", state = "", mrenclave = ""] = process.argv;
const platform = restoreSimulatedPlatform(new Secret(new Uint8Array(await readFile(state)), "simulated platform"));
const enclave = await createEnclave(platform, { mrenclave: fromHex(mrenclave) ?? new Uint8Array() });
const broker = { host, port: Number(port), ca: await readFile(ca, "utf8"), serverName };
const key = await stockProvision(await connectEnclave(broker, enclave), "1.9");
if (key === undefined) throw new Error("the broker gave no key");
process.stdout.write(createHash("sha256").update(key).digest("hex"));
