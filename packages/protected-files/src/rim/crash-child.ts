import fsPromises, { open } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { argv, kill, pid } from "node:process";
import { reEncryptFile, reKeyFile } from "./re-key-file.ts";
import { sealFileTo } from "./seal-file.ts";
import { openFileTo } from "./open-file.ts";
import { vectorKey } from "./test-vectors.ts";

// Run by crash.test.ts: does one job, and kills itself at a boundary. A boundary is the moment before any call
// that changes the disk, or the middle of a write (half of its bytes written). Exit code 0 means that there was no such boundary any more.

const [, , job = "", boundaryText = "", input = "", output = ""] = argv;
const boundary = Number(boundaryText);
let passed = 0;

function pass(): void {
  if (passed === boundary) kill(pid, "SIGKILL");
  passed += 1;
}

type Call = (...args: unknown[]) => Promise<unknown>;

function around(call: Call): Call {
  return function wrapped(this: unknown, ...args) {
    pass();
    return call.apply(this, args);
  };
}

/** As `around`, for a write, which can also be torn in the middle. */
function tearable(write: Call): Call {
  return async function wrapped(this: unknown, ...args) {
    pass();
    if (passed === boundary) await write.apply(this, halfOf(args));
    pass();
    return write.apply(this, args);
  };
}

function halfOf(args: unknown[]): unknown[] {
  const [bytes, offset, length, position] = args as [Uint8Array, number, number, number];
  return [bytes, offset, Math.floor(length / 2), position];
}

async function instrument(): Promise<void> {
  const handle = await open(input, "r");
  const prototype = Object.getPrototypeOf(handle) as Record<"write" | "sync", Call>;
  await handle.close();
  prototype.write = tearable(prototype.write);
  prototype.sync = around(prototype.sync);
  const names = fsPromises as unknown as Record<"rename" | "link" | "unlink", Call>;
  for (const name of ["rename", "link", "unlink"] as const) names[name] = around(names[name]);
  syncBuiltinESMExports();
}

const wrapKey = vectorKey("00112233445566778899aabbccddeeff");
const newWrapKey = vectorKey("ffeeddccbbaa99887766554433221100");
const boundPath = "a/b";

await instrument();
if (job === "seal") await sealFileTo(input, output, { wrapKey, boundPath, overwrite: true });
if (job === "seal new") await sealFileTo(input, output, { wrapKey, boundPath });
if (job === "open") await openFileTo(input, output, { wrapKey, boundPath, overwrite: true });
if (job === "re-key") await reKeyFile(output, { wrapKey, newWrapKey, boundPath });
if (job === "re-encrypt") await reEncryptFile(output, { wrapKey, newWrapKey, boundPath });
