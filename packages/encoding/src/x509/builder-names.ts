import { concatBytes } from "../bytes.ts";
import { contextPrimitive, ia5String, oid, printableString, sequence, set, utf8String } from "../der/writer.ts";
import { EncodingError } from "../encoding-error.ts";

/** Attributes of a distinguished name in the order in which they are to stand, for example `[["CN", "x"], ["C", "US"]]`. */
export type DistinguishedName = readonly (readonly [attribute: NameAttribute, value: string])[];
export type NameAttribute = keyof typeof ATTRIBUTES;

/** Subject alternative names. */
export interface AlternativeNames {
  readonly dnsNames?: readonly string[];
  /** Dotted IPv4 or IPv6 text without zone. */
  readonly ipAddresses?: readonly string[];
}

// Upper bounds of X.520 (RFC 5280, appendix A.1).
const ATTRIBUTES = {
  CN: { id: "2.5.4.3", maxLength: 64 },
  C: { id: "2.5.4.6", maxLength: 2 },
  L: { id: "2.5.4.7", maxLength: 128 },
  ST: { id: "2.5.4.8", maxLength: 128 },
  O: { id: "2.5.4.10", maxLength: 64 },
  OU: { id: "2.5.4.11", maxLength: 64 },
} as const;

const DNS_NAME = /^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;
const IPV4 = /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}$/;
const IPV6_GROUP = /^[0-9a-f]{1,4}$/i;
const TAG_DNS_NAME = 2;
const TAG_IP_ADDRESS = 7;

/** A Name of one attribute per relative name: UTF8String, the country PrintableString (RFC 5280, section 4.1.2.4). */
export function encodeName(name: DistinguishedName): Uint8Array {
  return sequence(...name.map(([attribute, value]) => set(encodeAttribute(attribute, value))));
}

function encodeAttribute(attribute: NameAttribute, value: string): Uint8Array {
  const { id, maxLength } = ATTRIBUTES[attribute];
  if (value.length === 0 || value.length > maxLength) throw notAllowed(`${attribute} of a name has a wrong length`);
  return sequence(oid(id), attribute === "C" ? printableString(value) : utf8String(value));
}

/** GeneralNames of DNS names (lower-cased) and IP addresses (RFC 5280, section 4.2.1.6). At least one is needed. */
export function encodeAlternativeNames(names: AlternativeNames): Uint8Array {
  const dns = (names.dnsNames ?? []).map((name) => contextPrimitive(TAG_DNS_NAME, dnsNameBytes(name)));
  const ip = (names.ipAddresses ?? []).map((address) => contextPrimitive(TAG_IP_ADDRESS, ipAddressBytes(address)));
  if (dns.length + ip.length === 0) throw notAllowed("no subject alternative name was given");
  return sequence(...dns, ...ip);
}

/** Whether the text is a host name, with or without a leading wildcard label. An IPv4 address is none. */
export function isDnsName(text: string): boolean {
  return text.length <= 253 && DNS_NAME.test(text) && !IPV4.test(text);
}

function dnsNameBytes(name: string): Uint8Array {
  if (!isDnsName(name)) throw notAllowed("not a DNS name");
  return ia5String(name.toLowerCase()).subarray(name.length < 0x80 ? 2 : 3);
}

/** The 4 or 16 bytes of an address. Throws `EncodingError` X509_VALUE_NOT_ALLOWED. */
export function ipAddressBytes(address: string): Uint8Array {
  if (IPV4.test(address)) return Uint8Array.from(address.split("."), Number);
  const [left = "", right, ...more] = address.split("::");
  const head = ipv6Groups(left);
  const tail = right === undefined ? new Uint8Array() : ipv6Groups(right);
  const gap = 16 - head.length - tail.length;
  if (more.length > 0 || (right === undefined ? gap !== 0 : gap < 2)) throw notAllowed("not an IP address");
  return concatBytes(head, new Uint8Array(gap), tail);
}

function ipv6Groups(text: string): Uint8Array {
  if (text === "") return new Uint8Array();
  const groups = text.split(":");
  const last = groups.at(-1) ?? "";
  // The last 32 bits may be written as IPv4, as in ::ffff:192.0.2.1.
  const embedded = IPV4.test(last) ? Uint8Array.from(last.split("."), Number) : undefined;
  const hex = embedded === undefined ? groups : groups.slice(0, -1);
  if (!hex.every((group) => IPV6_GROUP.test(group))) throw notAllowed("not an IP address");
  const bytes = hex.map((group) => Number.parseInt(group, 16)).flatMap((group) => [group >> 8, group & 0xff]);
  return concatBytes(Uint8Array.from(bytes), embedded ?? new Uint8Array());
}

function notAllowed(why: string): EncodingError {
  return new EncodingError("X509_VALUE_NOT_ALLOWED", {
    what: "name not written into a certificate",
    why,
    remedy: "correct the name",
  });
}
