import assert from "node:assert/strict";
import { test } from "node:test";
import { collectBrowserModules } from "./browser-modules.ts";
import { resolveForBrowser } from "./resolve-browser.ts";

const here = new URL(import.meta.url);

test("the client for browsers and all that it imports runs in a browser: no module of Node's, no types", async () => {
  const { texts, importMap } = await collectBrowserModules(["@cloister/client/browser"], here);
  assert.equal(importMap.imports["@cloister/client/browser"], "/modules/@cloister/client/src/browser.ts");
  for (const path of Object.values(importMap.imports)) assert.ok(texts.has(path), path);
  assert.ok(texts.has("/modules/@cloister/encoding/src/sha256.browser.ts"));
  assert.ok(!texts.has("/modules/@cloister/encoding/src/sha256.ts"));
  // Whatever a module imports by a relative path is there too.
  for (const [path, text] of texts) {
    for (const [, relative] of text.matchAll(/^(?:import|export)[^"'\n]*from "(\.[^"\n]+)"/gm)) {
      const wanted = new URL(relative!, `http://page.test${path}`).pathname;
      assert.ok(texts.has(wanted), `${path} imports ${wanted}`);
    }
  }
  assert.ok([...texts.values()].every((text) => !/^import .*"node:/m.test(text)));
});

test("what needs Node is refused by name", async () => {
  await assert.rejects(collectBrowserModules(["@cloister/client"], here), /imports node:\w+.*which no browser has/);
  assert.throws(() => resolveForBrowser("no-such-package", here), /no-such-package/);
  assert.throws(() => resolveForBrowser("@cloister/encoding/none", here), /does not export/);
});

test("conditions and patterns of a package's exports are followed", () => {
  assert.match(resolveForBrowser("@cloister/encoding/sha256", here).href, /sha256\.browser\.ts$/);
  const message = "@cloister/encoding/gen/tensorflow_serving/apis/predict_pb";
  assert.match(resolveForBrowser(message, here).href, /gen\/tensorflow_serving\/apis\/predict_pb\.js$/);
  assert.match(resolveForBrowser("zod", new URL(import.meta.resolve("@cloister/client"))).href, /zod\/.*\.js$/);
});
