import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { BrowserModules } from "./module-graph.ts";

export type { BrowserModules } from "./module-graph.ts";

/**
 * The modules that a page needs which imports `entries`, without a bundler: each module of the project is served as it is, without its
 * types. Specifiers are resolved as if `from` imported them. Rejects where one of them cannot run in a browser.
 */
export async function collectBrowserModules(
  entries: readonly string[],
  from: string | URL,
  base = "/modules/",
): Promise<BrowserModules> {
  // In a thread of its own, because Node's type stripping is synchronous and warns on standard error that it is young.
  const worker = new Worker(new URL("./graph.worker.ts", import.meta.url), {
    workerData: { entries, from: String(from), base },
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  const [modules] = (await once(worker, "message")) as [BrowserModules];
  return modules;
}
