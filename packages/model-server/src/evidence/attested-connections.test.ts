import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { after, before, test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import {
  ATTESTED_H2,
  connectionReportData,
  decodeEvidenceResponse,
  encodeEvidenceRequest,
  EXPORTER_LABEL,
  MAX_EVIDENCE_RESPONSE_BYTES,
} from "@cloister/encoding/connection-evidence";
import { readPrefixedMessage } from "@cloister/encoding/read-message";
import { type ModelServer, startModelServer } from "../index.ts";
import { elementwiseEngine, testCertificates } from "../testing/index.ts";

const certificates = testCertificates();
let server: ModelServer;
let quotes = 0;

before(async () => {
  server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    tls: certificates.server,
    // The report data stands for the quote, so that tests can look at it.
    evidence: {
      quote: (reportData) => {
        quotes += 1;
        return quotes === 3 ? Promise.reject(new Error("the platform is busy")) : Promise.resolve(reportData.slice());
      },
    },
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(),
  });
});
after(() => server.close());

async function open(protocols = [ATTESTED_H2]): Promise<TLSSocket> {
  const socket = connect({
    ...server.address,
    ca: certificates.ca,
    servername: "server.test",
    ALPNProtocols: protocols,
  });
  await once(socket, "secureConnect");
  socket.on("error", () => undefined);
  return socket;
}

const nonce = new Uint8Array(32).fill(9);

test("evidence is over the nonce, this connection's exporter value and the serving key, and HTTP/2 follows", async () => {
  const socket = await open();
  socket.write(encodeEvidenceRequest(nonce));
  const message = await readPrefixedMessage(socket, MAX_EVIDENCE_RESPONSE_BYTES);
  const evidence = decodeEvidenceResponse(message ?? new Uint8Array());
  assert.ok(evidence);
  const exporter = new Uint8Array(socket.exportKeyingMaterial(32, EXPORTER_LABEL, Buffer.alloc(0)));
  assert.deepEqual(evidence.exporter, exporter);
  assert.deepEqual(evidence.quote, connectionReportData({ ...evidence, nonce, exporter }));
  const session = connectHttp2("https://server.test", { createConnection: () => socket });
  await once(session, "remoteSettings");
  session.close();
});

test("a client that does not wait for the answer is served as well", async () => {
  const socket = await open();
  socket.write(Buffer.concat([encodeEvidenceRequest(nonce), Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]));
  socket.write(Buffer.of(0, 0, 0, 4, 0, 0, 0, 0, 0));
  assert.ok(await readPrefixedMessage(socket, MAX_EVIDENCE_RESPONSE_BYTES));
  await once(socket, "readable");
  socket.destroy();
});

test("a quote that cannot be had ends the connection, and tells nothing", async () => {
  const socket = await open();
  socket.write(encodeEvidenceRequest(nonce));
  assert.equal(await readPrefixedMessage(socket, MAX_EVIDENCE_RESPONSE_BYTES), undefined);
});

for (const [name, bytes] of [
  ["an announced length beyond the limit", Buffer.of(0xff, 0xff, 0xff, 0xff)],
  ["an empty message", Buffer.of(0, 0, 0, 0)],
  ["HTTP/2 without a challenge", Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
  ["a nonce of another length", encodeEvidenceRequest(new Uint8Array(31))],
] as const) {
  test(`${name} ends the connection without a quote`, async () => {
    const before = quotes;
    const socket = await open();
    socket.write(bytes);
    assert.equal(await readPrefixedMessage(socket, MAX_EVIDENCE_RESPONSE_BYTES), undefined);
    assert.equal(quotes, before);
  });
}

test("a client that hangs up in the middle harms nobody, and others connect without evidence as before", async () => {
  for (let count = 0; count < 10; count++) {
    const socket = await open();
    socket.write(encodeEvidenceRequest(nonce));
    socket.destroy();
  }
  const plain = await open(["h2"]);
  const session = connectHttp2("https://server.test", { createConnection: () => plain });
  await once(session, "remoteSettings");
  session.close();
});
