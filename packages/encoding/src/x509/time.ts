import { DER_TAG, type DerReader } from "../der.ts";
import { x509Malformed } from "./malformed.ts";

const UTC_TIME = /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;

/** A Time (RFC 5280, 4.1.2.5): UTCTime or GeneralizedTime in seconds and Z. */
export function readTime(reader: DerReader): Date {
  const { tag, content } = reader.element();
  const isUtc = tag === DER_TAG.utcTime;
  if (!isUtc && tag !== DER_TAG.generalizedTime) throw x509Malformed("a time has another type than expected");
  const match = (isUtc ? UTC_TIME : GENERALIZED_TIME).exec(String.fromCharCode(...content.subarray(0, 16)));
  if (match === null || content.length > 15) throw x509Malformed("a time is not written in seconds and Z");
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
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
