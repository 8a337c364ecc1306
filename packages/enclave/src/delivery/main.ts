import { isCodedError } from "@cloister/encoding";
import { jsonLog } from "../replica/log.ts";
import { deliverModel } from "./deliver.ts";

// The init container of a pod whose model comes from an object store: `main.ts URL FOLDER`. Ends with 0 done, 1 failed, 2 wrong usage.
// The URL may be pre-signed, so it is never logged.

const EXIT = { done: 0, failed: 1, usage: 2 } as const;
const log = jsonLog({});

async function main([url, folder, ...others]: readonly string[]): Promise<number> {
  if (url === undefined || folder === undefined || others.length > 0) {
    log("failed", { code: "USAGE", message: "two arguments are needed: the URL of the sealed files, and a folder" });
    return EXIT.usage;
  }
  try {
    log("delivered", { files: await deliverModel(url, folder), folder });
    return EXIT.done;
  } catch (error) {
    const code = isCodedError(error) ? error.code : "INTERNAL";
    log("failed", { code, message: isCodedError(error) ? error.message : "an unexpected error ended the delivery" });
    return EXIT.failed;
  }
}

process.exitCode = await main(process.argv.slice(2));
