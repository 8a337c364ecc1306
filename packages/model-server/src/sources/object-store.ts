import type { ModelFiles } from "@cloister/saved-model";
import { callError } from "../errors.ts";
import { fetchBytes } from "./fetch-bytes.ts";
import { type ModelSource, versionOf, withoutQuery } from "./model-source.ts";
import { signedHeaders, type StoreCredentials, uriEncode } from "./sign-v4.ts";

const MAX_LISTING_BYTES = 16 * 1024 * 1024;
const MAX_OBJECTS = 10_000;
const MAX_VERSION_BYTES = 8 * 2 ** 30;

/** How to reach S3-compatible stores. */
export interface ObjectStoreOptions {
  /** Where `s3://` leads, for example `https://minio.example:9000`, buckets in the path. Default: Amazon S3 in `region`. */
  readonly endpoint?: string;
  /** Default `us-east-1`. */
  readonly region?: string;
  /** Absent: objects that anybody may read. */
  readonly credentials?: StoreCredentials;
}

/** A bucket, and a prefix that ends with `/` or is empty. */
interface Location {
  readonly origin: string;
  readonly region: string;
  readonly bucket: string;
  readonly prefix: string;
}

/**
 * Models in S3-compatible stores: `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` (Google's interoperable XML API) and
 * `https://HOST/BUCKET/PREFIX`. Below the prefix there is a "folder" for each version.
 */
export function objectStoreSource(options: ObjectStoreOptions): ModelSource {
  const get = (location: Location, path: string, query: Readonly<Record<string, string>>, maxBytes: number) => {
    const url = new URL(`${location.origin}/${path.split("/").map(uriEncode).join("/")}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const { credentials } = options;
    const headers = credentials && signedHeaders(url, location.region, credentials, new Date());
    return fetchBytes(url, { ...(headers !== undefined && { headers }), maxBytes });
  };
  const list = async (location: Location, isDeep: boolean): Promise<Listing> => {
    const found: Listing = { keys: [], prefixes: [] };
    let token: string | undefined;
    do {
      const query = {
        "list-type": "2",
        prefix: location.prefix,
        ...(!isDeep && { delimiter: "/" }),
        ...(token !== undefined && { "continuation-token": token }),
      };
      const page = readListing(await get(location, location.bucket, query, MAX_LISTING_BYTES));
      found.keys.push(...page.keys);
      found.prefixes.push(...page.prefixes);
      if (found.keys.length + found.prefixes.length > MAX_OBJECTS) {
        throw callError("RESOURCE_EXHAUSTED", `more than ${MAX_OBJECTS} objects under ${location.prefix}`);
      }
      token = page.next;
    } while (token !== undefined);
    return found;
  };
  return {
    listVersions: async (basePath) => {
      const location = locate(basePath, options);
      const listing = await list(location, false).catch(() => undefined);
      if (listing === undefined) return undefined;
      const names = listing.prefixes.map((prefix) => prefix.slice(location.prefix.length).replace(/\/$/, ""));
      return new Map(
        names.toSorted().flatMap((name) => {
          const version = versionOf(name);
          return version === undefined ? [] : [[version, `${basePath.replace(/\/$/, "")}/${name}`] as const];
        }),
      );
    },
    readVersion: async (place): Promise<ModelFiles> => {
      const location = locate(place, options);
      const files = new Map<string, Uint8Array>();
      let leftBytes = MAX_VERSION_BYTES;
      for (const key of (await list(location, true)).keys) {
        // Some tools write an empty object for a folder.
        if (key.endsWith("/") || !key.startsWith(location.prefix)) continue;
        const bytes = await get(location, `${location.bucket}/${key}`, {}, leftBytes);
        leftBytes -= bytes.length;
        files.set(key.slice(location.prefix.length), bytes);
      }
      if (files.size === 0) throw callError("NOT_FOUND", `there are no objects under ${withoutQuery(place)}`);
      return files;
    },
    readFile: (place) => {
      const location = locate(place, options);
      return get(location, `${location.bucket}/${location.prefix.replace(/\/$/, "")}`, {}, MAX_LISTING_BYTES);
    },
  };
}

function locate(place: string, { endpoint, region = "us-east-1" }: ObjectStoreOptions): Location {
  const match = /^(s3|gs|https?):\/\/([^/]+)\/?(.*)$/.exec(withoutQuery(place));
  const [scheme, first = "", rest = ""] = match?.slice(1) ?? [];
  const prefixOf = (path: string): string => (path === "" || path.endsWith("/") ? path : `${path}/`);
  if (scheme === "s3") {
    const origin = endpoint?.replace(/\/$/, "") ?? `https://s3.${region}.amazonaws.com`;
    return { origin, region, bucket: first, prefix: prefixOf(rest) };
  }
  if (scheme === "gs") {
    return { origin: "https://storage.googleapis.com", region: "auto", bucket: first, prefix: prefixOf(rest) };
  }
  const [bucket = "", ...path] = rest.split("/");
  return { origin: `${scheme}://${first}`, region, bucket, prefix: prefixOf(path.join("/")) };
}

interface Listing {
  readonly keys: string[];
  /** Common prefixes: the "folders" just below the prefix. */
  readonly prefixes: string[];
  readonly next?: string | undefined;
}

/** The answer to ListObjectsV2. Its elements hold text only; what is looked for has no attributes. */
function readListing(bytes: Uint8Array): Listing {
  const text = new TextDecoder().decode(bytes);
  if (!text.includes("<ListBucketResult")) {
    throw callError("FAILED_PRECONDITION", "the store's answer is no listing of objects");
  }
  const all = (pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, found = ""]) => unescapeXml(found));
  const [next] = all(/<NextContinuationToken>([^<]*)<\/NextContinuationToken>/g);
  return {
    keys: all(/<Key>([^<]*)<\/Key>/g),
    prefixes: all(/<CommonPrefixes>\s*<Prefix>([^<]*)<\/Prefix>/g),
    next: /<IsTruncated>true<\/IsTruncated>/.test(text) ? next : undefined,
  };
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replaceAll(/&(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|(\w+));/g, (whole, hex, decimal, name: string) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex as string, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
