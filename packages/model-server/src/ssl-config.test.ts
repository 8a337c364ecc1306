import assert from "node:assert/strict";
import { test } from "node:test";
import { EncodingError } from "@cloister/encoding";
import { ModelServerError, readSslConfig, startModelServer } from "./index.ts";
import { elementwiseEngine, testCertificates } from "./testing/index.ts";

const { ca, server } = testCertificates();
const quote = (pem: string, oneLine: boolean): string => {
  const lines = pem.trim().split("\n");
  const body = lines.slice(1, -1).join(oneLine ? "" : String.raw`\n`);
  return String.raw`${lines[0] ?? ""}\n${body}\n${lines.at(-1) ?? ""}`;
};

const start = (text: string) =>
  startModelServer({ host: "127.0.0.1", port: 0, tls: readSslConfig(text), models: [], engine: elementwiseEngine() });

test("a server starts with an ssl.cfg whose PEM bodies have line breaks, and with one whose bodies are one line", async () => {
  for (const oneLine of [false, true]) {
    const text = `server_key: '${quote(server.key, oneLine)}'\nserver_cert: "${quote(server.cert, oneLine)}"
      custom_ca: "${quote(ca, oneLine)}"\nclient_verify: true`;
    assert.equal(readSslConfig(text).requireClientCertificate, true);
    await (await start(text)).close();
  }
});

test("an ssl.cfg without key, one that verifies clients by nothing, and one with another field are refused", async () => {
  const material = `server_key: "${quote(server.key, false)}" server_cert: "${quote(server.cert, false)}"`;
  const refusals = ["", "client_verify: false", `${material} client_verify: true`];
  for (const text of refusals) {
    await assert.rejects(
      start(text),
      (error) => error instanceof ModelServerError && error.code === "TLS_MATERIAL_INVALID",
    );
  }
  assert.throws(() => readSslConfig(`${material} server_crt: ""`), EncodingError);
});
