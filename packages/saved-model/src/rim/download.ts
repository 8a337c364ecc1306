import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { get as httpGet, type IncomingMessage } from "node:http";
import { get as httpsGet } from "node:https";
import { dirname } from "node:path";
import { toHex } from "@cloister/encoding";
import { fault } from "../error.ts";
import { checkPin, readPins, writePins } from "./pins.ts";

export interface DownloadOptions {
  readonly url: string;
  /** Where the file ends up. It appears there only when it is whole and its digest is accepted. */
  readonly path: string;
  /** The digest that the file must have; or, where none is known beforehand, the file of pinned digests, see pins.ts. */
  readonly digest: { readonly sha256: string } | { readonly pinsPath: string };
  /** Called with the bytes that are there and, where the server tells, the total. */
  readonly onProgress?: (receivedBytes: number, totalBytes: number | undefined) => void;
  readonly signal?: AbortSignal;
  /** Refuses larger files, default 4 GiB. */
  readonly maxBytes?: number;
  /** Gives up where no byte arrives for so long, default 30 s. */
  readonly idleTimeoutMs?: number;
  /** Plain http is refused unless this is set: for tests on this machine. */
  readonly allowHttp?: boolean;
}

export interface Downloaded {
  readonly sha256: string;
  readonly bytes: number;
  /** Whether the digest was pinned by this download, no earlier one being known. */
  readonly isFirstUse: boolean;
}

const MAX_REDIRECTS = 5;

/**
 * Downloads a file, going on where an interrupted download stopped (`PATH.part`). With a file of pins, the SHA-256 digest of the
 * first download of a URL is pinned; every later one must have it. TLS protects the first, the pin all others.
 *
 * @throws SavedModelError DOWNLOAD_FAILED (what has arrived is kept), DOWNLOAD_DIGEST (nothing is kept), LIMIT_EXCEEDED
 */
export async function download(options: DownloadOptions): Promise<Downloaded> {
  const { url, path, digest } = options;
  const partPath = `${path}.part`;
  const pins = "sha256" in digest ? new Map([[url, digest.sha256]]) : await readPins(digest.pinsPath);
  await mkdir(dirname(path), { recursive: true });
  await receive(options, partPath);
  const { size: bytes } = await stat(partPath);
  const sha256 = await digestOf(partPath);
  try {
    checkPin(pins, url, sha256);
  } catch (error) {
    await rm(partPath, { force: true });
    throw error;
  }
  const isFirstUse = !pins.has(url);
  if (isFirstUse && "pinsPath" in digest) await writePins(digest.pinsPath, new Map([...pins, [url, sha256]]));
  await rename(partPath, path);
  return { sha256, bytes, isFirstUse };
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return toHex(hash.digest());
}

async function receive(options: DownloadOptions, partPath: string): Promise<void> {
  const { maxBytes = 4 * 2 ** 30 } = options;
  const have = await stat(partPath).then(
    ({ size }) => size,
    () => 0,
  );
  const response = await request(options, options.url, have, MAX_REDIRECTS);
  // 416: there is nothing beyond what has arrived already. 200: the server starts again from the beginning.
  if (response.statusCode === 416) {
    response.resume();
    return;
  }
  let received = response.statusCode === 206 ? have : 0;
  const length = Number(response.headers["content-length"]);
  const total = Number.isSafeInteger(length) ? received + length : undefined;
  const file = await open(partPath, received > 0 ? "a" : "w");
  try {
    if ((total ?? 0) > maxBytes) throw tooLarge(options.url, maxBytes);
    for await (const chunk of response) {
      received += (chunk as Buffer).length;
      if (received > maxBytes) throw tooLarge(options.url, maxBytes);
      await file.writeFile(chunk as Buffer);
      options.onProgress?.(received, total);
    }
    await file.sync();
  } catch (error) {
    response.destroy();
    throw error instanceof Error && "code" in error && error.code === "LIMIT_EXCEEDED"
      ? error
      : failed(options.url, "the connection broke", error);
  } finally {
    await file.close();
  }
  if (total !== undefined && received !== total) throw failed(options.url, "it ended before its end");
}

function request(options: DownloadOptions, url: string, from: number, redirects: number): Promise<IncomingMessage> {
  const { protocol } = new URL(url);
  if (protocol !== "https:" && !(protocol === "http:" && options.allowHttp === true)) {
    return Promise.reject(failed(url, "it is no https address"));
  }
  const headers = from > 0 ? { range: `bytes=${from}-` } : {};
  const get = protocol === "https:" ? httpsGet : httpGet;
  return new Promise((resolve, reject) => {
    const outgoing = get(url, { headers, ...(options.signal && { signal: options.signal }) }, (response) => {
      const { statusCode = 0 } = response;
      const { location } = response.headers;
      if (statusCode >= 300 && statusCode < 400 && location !== undefined) {
        response.resume();
        if (redirects === 0) reject(failed(options.url, "it redirects too often"));
        else request(options, new URL(location, url).href, from, redirects - 1).then(resolve, reject);
      } else if (statusCode === 200 || statusCode === 206 || (statusCode === 416 && from > 0)) {
        resolve(response);
      } else {
        response.resume();
        reject(failed(options.url, `the server answered ${statusCode}`));
      }
    });
    outgoing.setTimeout(options.idleTimeoutMs ?? 30_000, () => outgoing.destroy(new Error("no data arrived in time")));
    outgoing.on("error", (cause) => {
      reject(failed(options.url, "the server cannot be reached", cause));
    });
  });
}

function failed(url: string, why: string, cause?: unknown): Error {
  return fault(
    "DOWNLOAD_FAILED",
    `${url} cannot be downloaded`,
    why,
    "run the command again: it goes on where it stopped",
    cause,
  );
}

function tooLarge(url: string, maxBytes: number): Error {
  return fault("LIMIT_EXCEEDED", `${url} is too large`, `the limit is ${maxBytes} bytes`, "check the address");
}
