import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type EndedCall, type ModelServer, startModelServer } from "../index.ts";
import { elementwiseEngine } from "../testing/index.ts";

const MIB = 1024 * 1024;

let server: ModelServer;
const calls: EndedCall[] = [];

before(async () => {
  server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    insecure: true,
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(),
    rest: { host: "127.0.0.1", port: 0, timeoutMs: 60_000 },
    insecureRest: true,
    limits: { maxMessageBytes: 2 * MIB, maxBufferedBytes: 24 * MIB, maxHeaderBytes: 8192, tlsHandshakeMs: 300 },
    onCallEnd: (call) => calls.push(call),
  });
});

after(() => server.close());

const port = (): number => server.restAddress?.port ?? 0;

function open(): Socket {
  return connect(port(), "127.0.0.1").on("error", () => undefined);
}

/** What the server answers to bytes, until it closes the connection. */
async function answerTo(bytes: string): Promise<string> {
  const socket = open();
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
  socket.write(bytes);
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return text;
}

async function post(
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const answer = await fetch(`http://127.0.0.1:${port()}/v1/models/half:predict`, { method: "POST", body, headers });
  return { status: answer.status, text: await answer.text() };
}

async function assertServes(): Promise<void> {
  const { status, text } = await post('{"signature_name": "scaled", "inputs": {"x": [2], "factor": 3}}');
  assert.deepEqual([status, JSON.parse(text)], [200, { outputs: [6] }]);
}

test("bytes that are no HTTP, and headers above the limit, get HTTP's own answer", async () => {
  assert.match(await answerTo("NONSENSE\r\n\r\n"), /^HTTP\/1\.1 400 /);
  assert.match(await answerTo(`GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(16_384)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  assert.match(await answerTo("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"), /^HTTP\/1\.1 400 /);
  await assertServes();
});

test("a client that never ends its headers does not keep others from being served", async (context) => {
  const silent = Array.from({ length: 200 }, open);
  context.after(() => silent.forEach((socket) => socket.destroy()));
  await Promise.all(silent.map((socket) => once(socket, "connect")));
  for (const socket of silent) socket.write("GET /v1/models/half HTTP/1.1\r\nX: ");
  await assertServes();
});

test("a body above the limit is refused, before and after it is inflated", async () => {
  assert.equal((await post(new Uint8Array(3 * MIB))).status, 429);
  const bomb = gzipSync(Buffer.alloc(30 * MIB, " "), { level: 1 });
  assert.ok(bomb.length < 2 * MIB);
  const { status } = await post(bomb, { "content-encoding": "gzip" });
  assert.equal(status, 429);
  await assertServes();
});

test("gzip bodies that inflate at once share the server's memory for requests, and it comes back", async () => {
  const body = gzipSync(Buffer.concat([Buffer.from('{"instances": [2]}'), Buffer.alloc(10 * MIB, " ")]), { level: 1 });
  const answers = await Promise.all(Array.from({ length: 8 }, () => post(body, { "content-encoding": "gzip" })));
  const statuses = answers.map(({ status }) => status);
  assert.ok(statuses.every((status) => status === 200 || status === 429));
  assert.equal((await post(body, { "content-encoding": "gzip" })).status, 200);
});

test("a damaged gzip body is INVALID_ARGUMENT", async () => {
  const body = gzipSync('{"instances": [2]}');
  for (const bad of [body.subarray(0, body.length - 3), Buffer.from("no gzip")]) {
    assert.equal((await post(bad, { "content-encoding": "gzip" })).status, 400);
  }
});

test("lists, objects and skipped values that are nested without an end are refused or passed over", async () => {
  const deep = (open: string, close: string): string => open.repeat(400_000) + close.repeat(400_000);
  assert.match((await post(`{"instances": ${deep("[", "]")}}`)).text, /nested too deep/);
  assert.match((await post(`{"instances": [${deep('{"x":', "}").slice(0, MIB)}`)).text, /error/);
  assert.equal((await post(`{"other": ${deep("[", "]")}, "instances": [2]}`)).status, 200);
  await assertServes();
});

test("refused requests are in the access log, with their path and status and nothing of their body", async () => {
  calls.length = 0;
  await Promise.all(Array.from({ length: 50 }, () => post('{"instances": ["secret-value"]}')));
  assert.equal(calls.length, 50);
  for (const call of calls) {
    assert.deepEqual([call.status, call.path], [400, "/v1/models/half:predict"]);
    assert.doesNotMatch(JSON.stringify(call), /secret-value/);
  }
});
