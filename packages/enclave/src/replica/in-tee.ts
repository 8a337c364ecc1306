import { readFile } from "node:fs/promises";
import { isCodedError } from "@cloister/encoding";
import { openPlatform } from "../platform/open-platform.ts";
import { jsonLog } from "./log.ts";
import { decodeReplicaSettings } from "./settings.ts";
import { serveUntilStopped } from "./until-stopped.ts";

// The entry point of a replica inside a hardware TEE, where nothing but this program and what it loads is measured. Its one
// argument is the path of the measured settings. It ends with 0 after SIGTERM, 1 when it was refused or failed, 2 when it was
// started wrongly; the last line of its log has the code.

const EXIT = { done: 0, failed: 1, usage: 2 } as const;

async function main(paths: readonly string[]): Promise<number> {
  const [path, ...others] = paths;
  if (path === undefined || others.length > 0) {
    jsonLog({})("refused", { code: "USAGE", message: "one argument is needed: the file with the replica's settings" });
    return EXIT.usage;
  }
  try {
    const { platform, config, hostOptions } = decodeReplicaSettings(new Uint8Array(await readFile(path)));
    await serveUntilStopped({ config, hostOptions, driver: await openPlatform(platform) });
    return EXIT.done;
  } catch (error) {
    const [code, message] = isCodedError(error)
      ? [error.code, error.message]
      : ["INTERNAL", "an unexpected error ended the replica"];
    jsonLog({})("refused", { code, message });
    return EXIT.failed;
  }
}

process.exit(await main(process.argv.slice(2)));
