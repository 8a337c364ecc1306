import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { createTestAuthority } from "./authority.ts";

export const VAULT_TOKEN = "hvs.test-token";

export interface TestVault {
  readonly url: string;
  /** PEM of the authority of its certificate. */
  readonly ca: string;
  /** Method and path of each request so far. */
  readonly calls: string[];
  /** Every plaintext that it gave out. */
  readonly plaintexts: Buffer[];
}

/** Vault's transit engine as far as it is used: a key of its own, `datakey/plaintext` and `decrypt`. Ends with the test. */
export async function startVault(t: TestContext): Promise<TestVault> {
  const authority = createTestAuthority();
  const key = randomBytes(32);
  const [calls, plaintexts]: [string[], Buffer[]] = [[], []];
  const wrap = (bytes: Buffer): string => {
    const cipher = createCipheriv("aes-256-gcm", key, Buffer.alloc(12));
    return `vault:v1:${Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]).toString("base64")}`;
  };
  const unwrap = (wrapped: string): Buffer => {
    const sealed = Buffer.from(wrapped.slice("vault:v1:".length), "base64");
    const decipher = createDecipheriv("aes-256-gcm", key, Buffer.alloc(12)).setAuthTag(sealed.subarray(-16));
    return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
  };
  const server = createServer(authority.server("localhost"), (request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      calls.push(`${request.method} ${request.url}`);
      const body = JSON.parse(Buffer.concat(parts).toString()) as { bits?: number; ciphertext?: string };
      if (request.headers["x-vault-token"] !== VAULT_TOKEN) {
        response.writeHead(403).end(JSON.stringify({ errors: ["permission denied"] }));
        return;
      }
      const plaintext = body.ciphertext === undefined ? randomBytes((body.bits ?? 0) / 8) : unwrap(body.ciphertext);
      plaintexts.push(plaintext);
      const data = { plaintext: plaintext.toString("base64"), ciphertext: wrap(plaintext) };
      response.end(JSON.stringify({ data }));
    });
  });
  server.listen(0);
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `https://localhost:${(server.address() as AddressInfo).port}`;
  return { url, ca: authority.certificatePem, calls, plaintexts };
}
