import assert from "node:assert/strict";
import { isCodedError, toHex } from "@cloister/encoding";
import { parseStrictJson, type JsonObject } from "@cloister/encoding/canonical-json";
import { decodeCbor, encodeCbor } from "@cloister/encoding/cbor";
import { readDer } from "@cloister/encoding/der";
import { element } from "@cloister/encoding/der-writer";
import { encodePem, parsePem } from "@cloister/encoding/pem";
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
];
