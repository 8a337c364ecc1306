/** The header that a balancer puts before a connection, versions 1 and 2 of HAProxy's PROXY protocol. */
export type ProxyHeader =
  | { readonly kind: "header"; readonly length: number; readonly client: string | undefined }
  | { readonly kind: "more" }
  | { readonly kind: "invalid" };

const MORE: ProxyHeader = { kind: "more" };
const INVALID: ProxyHeader = { kind: "invalid" };

const V1_START = Buffer.from("PROXY ");
/** Section 2.1: the longest line with its end. */
const V1_MAX_BYTES = 107;
const V2_SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const V2_FIXED_BYTES = 16;
/** Addresses take 216 bytes at the most; the rest is for extensions, which are passed over. */
const V2_MAX_BYTES = 2048;
const V2_ADDRESS_BYTES = new Map([
  [0x11, 4],
  [0x12, 4],
  [0x21, 16],
  [0x22, 16],
]);

/** Reads the header at the start of a connection. `client` is undefined where the balancer speaks for itself (health checks). */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, V2_SIGNATURE)) return readV2(bytes);
  if (startsLike(bytes, V1_START)) return readV1(bytes);
  return INVALID;
}

/** A version 1 header for a connection over TCP. */
export function proxyHeader(client: { host: string; port: number }, server: { host: string; port: number }): Buffer {
  const family = client.host.includes(":") || server.host.includes(":") ? "TCP6" : "TCP4";
  return Buffer.from(`PROXY ${family} ${client.host} ${server.host} ${client.port} ${server.port}\r\n`, "latin1");
}

function startsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.subarray(0, length).equals(start.subarray(0, length));
}

function readV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_MAX_BYTES).indexOf("\r\n");
  if (end < 0) return bytes.length >= V1_MAX_BYTES ? INVALID : MORE;
  const [, family, client, ...rest] = bytes.subarray(0, end).toString("latin1").split(" ");
  const length = end + 2;
  if (family === "UNKNOWN") return { kind: "header", length, client: undefined };
  const isAddress = family === "TCP4" ? /^[0-9.]{7,15}$/ : /^[0-9A-Fa-f:.]{2,39}$/;
  if ((family !== "TCP4" && family !== "TCP6") || rest.length !== 3 || !isAddress.test(client ?? "")) return INVALID;
  return { kind: "header", length, client };
}

function readV2(bytes: Buffer): ProxyHeader {
  if (bytes.length < V2_FIXED_BYTES) return MORE;
  const [command = 0, family = 0] = bytes.subarray(12, 14);
  const length = V2_FIXED_BYTES + bytes.readUInt16BE(14);
  if (length > V2_MAX_BYTES || (command !== 0x20 && command !== 0x21)) return INVALID;
  if (bytes.length < length) return MORE;
  const addressBytes = V2_ADDRESS_BYTES.get(family);
  if (command === 0x20 || addressBytes === undefined) return { kind: "header", length, client: undefined };
  const end = V2_FIXED_BYTES + addressBytes;
  if (length < V2_FIXED_BYTES + 2 * addressBytes + 4) return INVALID;
  return { kind: "header", length, client: addressText(bytes.subarray(V2_FIXED_BYTES, end)) };
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16)).join(":");
}
