import { globSync } from "node:fs";
import { join } from "node:path";
import { after, describe } from "node:test";

/**
 * Runs a package's test files one after the other in this process, each as a suite of its own, so that its hooks hold for it alone. A process
 * for each file would load the package and its dependencies again and again, which took longer than the tests.
 */
export async function testTogether(packageFolder: string): Promise<void> {
  let finished = false;
  after(() => {
    finished = true;
  });
  // A test that ended this process would take the files after it along, and Node calls an end with 0 a success.
  process.once("exit", () => {
    if (!finished) process.exitCode = 1;
  });
  const files = globSync("src/**/*.test.ts", { cwd: packageFolder });
  for (const file of files.sort()) {
    // One import at a time: what a file declares belongs to the suite in which it is imported.
    await new Promise<void>((done) => {
      void describe(file, () => import(join(packageFolder, file)).finally(done));
    });
  }
}
