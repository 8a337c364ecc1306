import assert from "node:assert/strict";
import { isCodedError, toHex } from "@cloister/encoding";
import { parseStrictJson, type JsonObject } from "@cloister/encoding/canonical-json";
import { decodeCbor, encodeCbor } from "@cloister/encoding/cbor";
import { readDer } from "@cloister/encoding/der";
import { element } from "@cloister/encoding/der-writer";
import { encodePem, parsePem } from "@cloister/encoding/pem";
import {
  CLIENT_PREFACE,
  FLAG,
  FRAME_TYPE,
  FrameReader,
  HpackDecoder,
  HpackEncoder,
  Http2Error,
  settingsFrame,
  writeFrameHeader,
} from "@cloister/encoding/http2";
import {
  findExtension,
  parseCertificate,
  parseCrl,
  readBasicConstraints,
  readCrlNumber,
  readKeyUsage,
} from "@cloister/encoding/x509";
import { parseRaTlsCertificate } from "@cloister/attestation/ra-tls";
import { FieldError, Fields } from "../../packages/attestation/src/documents/fields.ts";
import { readQeIdentity } from "../../packages/attestation/src/documents/qe-identity.ts";
import { readTcbInfo } from "../../packages/attestation/src/documents/tcb-info.ts";
import { valueRange } from "../../packages/attestation/src/documents/value-range.ts";
import { readPckExtension } from "../../packages/attestation/src/chain/pck-extension.ts";
import { hasProfile } from "../../packages/attestation/src/chain/profile.ts";
import { parseQuote, stripZeroPadding } from "../../packages/attestation/src/quote/quote.ts";
import type { Target } from "./fuzzer.ts";
import { documentSeeds, raTlsSeeds, vectorSeeds } from "./seeds.ts";

// One target per parser of what attackers send. Beside "a result or a typed refusal" each checks what its parser promises: that
// what it accepts has one form only, or that another parser reads the same.

const ascii = (input: Uint8Array): string => Buffer.from(input).toString("latin1");
const utf8 = (input: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(input);
const isCoded = (error: unknown): boolean => isCodedError(error);

const CONSTRUCTED = 0x20;
const MAX_DEPTH = 24;

/** Reads every element and writes it again. */
function walkDer(input: Uint8Array, depth: number): void {
  const reader = readDer(input);
  while (!reader.atEnd) {
    const { tag, raw, content } = reader.element();
    assert.equal(toHex(element(tag, content)), toHex(raw));
    if ((tag & CONSTRUCTED) !== 0 && depth < MAX_DEPTH) walkDer(content, depth + 1);
    else readPrimitive(raw);
  }
}

function readPrimitive(raw: Uint8Array): void {
  for (const read of [
    "oid",
    "integerBytes",
    "unsignedBytes",
    "bitString",
    "wholeBitString",
    "boolean",
    "null",
  ] as const) {
    try {
      readDer(raw)[read]();
    } catch (error) {
      if (!isCoded(error)) throw error;
    }
  }
}

function readCertificate(input: Uint8Array): void {
  const certificate = parseCertificate(input);
  for (const role of ["root", "pck-ca", "pck", "tcb-signer"] as const) hasProfile(certificate, role);
  const constraints = findExtension(certificate, "2.5.29.19");
  if (constraints !== undefined) readBasicConstraints(constraints.value);
  const usage = findExtension(certificate, "2.5.29.15");
  if (usage !== undefined) readKeyUsage(usage.value);
  readPckExtension(certificate);
}

function readCrl(input: Uint8Array): void {
  const { extensions, revokedSerials } = parseCrl(input);
  for (const serial of revokedSerials) assert.match(serial, /^(?:[0-9a-f]{2}){1,20}$/);
  const number = extensions.find(({ oid }) => oid === "2.5.29.20");
  if (number !== undefined) readCrlNumber(number.value);
}

function readJson(input: Uint8Array): void {
  const text = utf8(input);
  assert.deepEqual(plain(parseStrictJson(text, { allowAnyNumber: true })), JSON.parse(text));
  parseStrictJson(text);
}

/** The same value with ordinary objects. */
function plain(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  assert.equal(Object.getPrototypeOf(value), null);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}

/** Reads a signed document as the verifier does, without the signature. */
function readDocument(input: Uint8Array, name: string, read: (body: Fields) => unknown): void {
  const value = parseStrictJson(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(input));
  const signed = valueRange(input, name);
  const body = (value as JsonObject | null)?.[name];
  if (signed !== undefined) assert.deepEqual(plain(body), JSON.parse(utf8(signed)));
  read(new Fields(value).object(name));
}

function readPem(input: Uint8Array): void {
  const text = ascii(input);
  const blocks = parsePem(text, "CERTIFICATE").map((block) => encodePem("CERTIFICATE", block));
  const normal = text.replaceAll("\r\n", "\n");
  assert.equal(blocks.join(""), normal.endsWith("\n") ? normal : `${normal}\n`);
}

function readQuote(input: Uint8Array): void {
  const { quote, droppedBytes } = stripZeroPadding(input);
  assert.equal(quote.length + droppedBytes, input.length);
  const { signed, signatureData } = parseQuote(quote);
  assert.ok(signed.length + 4 + 64 + 64 + 384 + signatureData.pckChain.length < quote.length);
  if (droppedBytes > 0) assert.throws(() => parseQuote(input), { code: "QUOTE_TRAILING_BYTES" });
}

const isDocumentRefusal = (error: unknown): boolean => {
  // The decoder's refusal of what is not UTF-8 is a TypeError with a code of the platform's.
  const isEncoding =
    error instanceof TypeError && "code" in error && error.code === "ERR_ENCODING_INVALID_ENCODED_DATA";
  return isCoded(error) || error instanceof FieldError || isEncoding;
};

const MAX_FRAME_BYTES = 16_384;

/** Reads frames, and the header blocks in them, once whole and once cut in two: both have to tell the same. */
function readHttp2(input: Uint8Array): void {
  const middle = input.length >> 1;
  const [whole, halves] = [[input], [input.subarray(0, middle), input.subarray(middle)]].map(tellFrames);
  assert.equal(halves, whole);
}

/** What frames mean up to the first error, which is told too. */
function tellFrames(chunks: readonly Uint8Array[]): string {
  const told: string[] = [];
  const decoder = new HpackDecoder(MAX_FRAME_BYTES);
  const reader = new FrameReader(
    {
      onFrame: (type, flags, streamId, payload) => {
        told.push(`${type} ${flags} ${streamId} ${toHex(payload)}`);
        if (type === FRAME_TYPE.headers) told.push(JSON.stringify(decoder.decode(payload)));
      },
      onDataBegin: (streamId, length, flags) => told.push(`data ${streamId} ${length} ${flags} `),
      onData: (bytes) => told.push(toHex(bytes)),
      onDataEnd: (padding) => told.push(` ${padding}`),
    },
    MAX_FRAME_BYTES,
  );
  try {
    for (const chunk of chunks) reader.push(chunk);
  } catch (error) {
    if (!(error instanceof Http2Error)) throw error;
    told.push(error.code);
  }
  return told.join("");
}

function http2Seeds(): Uint8Array[] {
  const block = new HpackEncoder().encode({ ":method": "POST", ":path": "/a.b/C", "content-type": "application/grpc" });
  const frame = (type: number, flags: number, payload: Uint8Array): Uint8Array => {
    const bytes = new Uint8Array(9 + payload.length);
    writeFrameHeader(bytes, 0, payload.length, type, flags, 1);
    bytes.set(payload, 9);
    return bytes;
  };
  const headers = frame(FRAME_TYPE.headers, FLAG.endHeaders, block);
  const data = frame(FRAME_TYPE.data, FLAG.endStream | FLAG.padded, Uint8Array.of(2, 1, 1, 0, 0));
  return [Buffer.concat([settingsFrame([[4, 65_535]]), headers, data]), Buffer.from(CLIENT_PREFACE)];
}

export const TARGETS: readonly Target[] = [
  { name: "quote", maxLength: 8192, seeds: vectorSeeds("quote"), run: readQuote, isRefusal: isCoded },
  {
    name: "der",
    maxLength: 2048,
    seeds: vectorSeeds("root_ca_crl"),
    run: (input) => {
      walkDer(input, 0);
    },
    isRefusal: isCoded,
  },
  { name: "x509", maxLength: 2048, seeds: vectorSeeds("certificate"), run: readCertificate, isRefusal: isCoded },
  { name: "crl", maxLength: 2048, seeds: vectorSeeds("root_ca_crl"), run: readCrl, isRefusal: isCoded },
  { name: "json", maxLength: 1024, seeds: documentSeeds(), run: readJson, isRefusal: isCoded },
  {
    name: "tcb-info",
    maxLength: 4096,
    seeds: vectorSeeds("tcb_info"),
    run: (input) => {
      readDocument(input, "tcbInfo", readTcbInfo);
    },
    isRefusal: isDocumentRefusal,
  },
  {
    name: "qe-identity",
    maxLength: 2048,
    seeds: vectorSeeds("qe_identity"),
    run: (input) => {
      readDocument(input, "enclaveIdentity", readQeIdentity);
    },
    isRefusal: isDocumentRefusal,
  },
  { name: "pem", maxLength: 4096, seeds: vectorSeeds("tcb_info_issuer_chain"), run: readPem, isRefusal: isCoded },
  {
    name: "ra-tls",
    maxLength: 16_384,
    seeds: raTlsSeeds(),
    run: (input) => void parseRaTlsCertificate(input),
    isRefusal: isCoded,
  },
  {
    name: "cbor",
    maxLength: 1024,
    seeds: [encodeCbor(new Map([["pubkey-hash", encodeCbor([1, new Uint8Array(32)])]]))],
    run: (input) => {
      assert.equal(toHex(encodeCbor(decodeCbor(input))), toHex(input));
    },
    isRefusal: isCoded,
  },
  { name: "http2", maxLength: 2048, seeds: http2Seeds(), run: readHttp2, isRefusal: isCoded },
];
