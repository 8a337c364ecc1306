import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { connect } from "node:tls";
import { before, test } from "node:test";
import * as fc from "fast-check";
import { MAX_HELLO_BYTES, readClientHello } from "./client-hello.ts";

/** The first flight that Node's own TLS client sends. */
async function helloOf(servername: string | undefined): Promise<Buffer> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const client = connect({ host: "127.0.0.1", port, ...(servername !== undefined && { servername }) });
  client.on("error", () => client.destroy());
  const [socket] = (await once(server, "connection")) as [Socket];
  const [bytes] = (await once(socket, "data")) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

let hello: Buffer;
before(async () => {
  hello = await helloOf("Grpc.Example.com");
});

test("the name is read in lower case, wherever the bytes are cut", () => {
  for (let length = 0; length < hello.length; length++) {
    assert.deepEqual(readClientHello(hello.subarray(0, length)), { kind: "more" });
  }
  assert.deepEqual(readClientHello(hello), { kind: "name", serverName: "grpc.example.com" });
});

test("a hello in several records is one hello", () => {
  const content = hello.subarray(5);
  const records = [content.subarray(0, 7), content.subarray(7, 90), content.subarray(90)].flatMap((part) => {
    const header = Buffer.from([22, 3, 1, 0, 0]);
    header.writeUInt16BE(part.length, 3);
    return [header, part];
  });
  assert.deepEqual(readClientHello(Buffer.concat(records)), { kind: "name", serverName: "grpc.example.com" });
});

test("a hello without a name has none", async () => {
  assert.deepEqual(readClientHello(await helloOf(undefined)), { kind: "no-name" });
});

test("what is no hello is refused at its first byte that tells", () => {
  assert.deepEqual(readClientHello(Buffer.from("GET / HTTP/1.1\r\n")), { kind: "invalid" });
  assert.deepEqual(readClientHello(Buffer.from([22, 3, 1, 0, 0])), { kind: "invalid" });
  assert.deepEqual(readClientHello(Buffer.from([22, 3, 1, 0xff, 0xff, 1])), { kind: "invalid" });
  assert.deepEqual(readClientHello(Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 1])), { kind: "invalid" });
  assert.deepEqual(readClientHello(Buffer.from([22, 3, 1, 0, 4, 1, 0xff, 0, 0])), { kind: "invalid" });
  assert.deepEqual(readClientHello(Buffer.alloc(MAX_HELLO_BYTES + 1, 22)), { kind: "invalid" });
});

test("no changed byte is more than another answer, and no name leaves its alphabet", () => {
  const edits = fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(edits, (changes) => {
      const bytes = Buffer.from(hello);
      for (const [at, value] of changes) bytes[at] = value;
      const read = readClientHello(bytes);
      return read.kind !== "name" || /^[a-z0-9_.-]{1,253}$/.test(read.serverName);
    }),
  );
});
