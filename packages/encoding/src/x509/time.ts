import { DER_TAG, type DerReader } from "../der/der.ts";
import { x509Malformed } from "./malformed.ts";

const ZULU = 0x5a;

/** A Time (RFC 5280, 4.1.2.5): UTCTime or GeneralizedTime in seconds and Z. */
export function readTime(reader: DerReader): Date {
  const isUtc = reader.peekTag() === DER_TAG.utcTime;
  const content = reader.content(isUtc ? DER_TAG.utcTime : DER_TAG.generalizedTime);
  const yearDigits = isUtc ? 2 : 4;
  const end = yearDigits + 10;
  if (content.length !== end + 1 || content[end] !== ZULU)
    throw x509Malformed("a time is not written in seconds and Z");
  const year = decimal(content, 0, yearDigits);
  const month = decimal(content, yearDigits, 2);
  const day = decimal(content, yearDigits + 2, 2);
  const hour = decimal(content, yearDigits + 4, 2);
  const minute = decimal(content, yearDigits + 6, 2);
  const second = decimal(content, yearDigits + 8, 2);
  // Two-digit years: 50 to 99 are 1950 to 1999 (RFC 5280, 4.1.2.5.1).
  const fullYear = isUtc ? year + (year >= 50 ? 1900 : 2000) : year;
  const time = new Date(Date.UTC(fullYear, month - 1, day, hour, minute, second));
  const exists = time.getUTCMonth() === month - 1 && time.getUTCDate() === day && time.getUTCHours() === hour;
  if (!exists || minute > 59 || second > 59 || fullYear < 1000) throw x509Malformed("a time does not exist");
  return time;
}

/** Whether the next element is a Time. */
export function isTime(tag: number | undefined): boolean {
  return tag === DER_TAG.utcTime || tag === DER_TAG.generalizedTime;
}

function decimal(bytes: Uint8Array, start: number, length: number): number {
  let value = 0;
  for (let at = start; at < start + length; at += 1) {
    const digit = (bytes[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) throw x509Malformed("a time is not written in digits");
    value = value * 10 + digit;
  }
  return value;
}
