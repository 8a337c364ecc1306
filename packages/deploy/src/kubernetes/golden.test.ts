import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { renderFiles } from "./render/render.ts";
import { readSettings } from "./settings.ts";
import { CASES, TEST_MANIFEST, testSettings } from "./testing.ts";

const FOLDER = join(import.meta.dirname, "golden");

for (const [name, settings] of Object.entries(CASES)) {
  // UPDATE_GOLDEN=1 writes them anew; the change is then read in review.
  test(`the objects of ${name} are those of the golden file`, async () => {
    const files = renderFiles("yaml", readSettings(testSettings(settings)), TEST_MANIFEST);
    const text = [...files].map(([file, content]) => `---\n# ${file}\n${content}`).join("");
    const path = join(FOLDER, `${name}.yaml`);
    if (process.env["UPDATE_GOLDEN"] === "1") await writeFile(path, text);
    assert.equal(text, await readFile(path, "utf8"));
  });
}
