import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex, utf8 } from "@cloister/encoding";
import { encodePem } from "@cloister/encoding/pem";
import { appraise } from "../appraisal/appraise.ts";
import { collateralUrls, decodeCrlBody, INTEL_PCS } from "../collateral/collateral-request.ts";
import { quotedPlatform } from "../collateral/quoted-platform.ts";
import { fetchCollateral } from "./collateral-client.ts";
import { loadCase } from "./testing/dcap-bundle.ts";
import { startTestPccs, type Interception } from "./testing/test-pccs.ts";

const BUNDLE = loadCase("sgx-00a067-config-sw/valid");
const PLATFORM = quotedPlatform(BUNDLE.quote);
const FAST = { pauseMs: 1, timeoutMs: 30_000 };

test("what is fetched for a quote's platform appraises the quote", async () => {
  await using pccs = await startTestPccs(BUNDLE.collateral);
  const collateral = await fetchCollateral(pccs.service, PLATFORM, FAST);
  assert.deepEqual(collateral, BUNDLE.collateral);
  assert.equal(appraise({ quote: BUNDLE.quote }, collateral, BUNDLE.anchors, BUNDLE.time).tee, "sgx");
  assert.deepEqual([...pccs.requests].sort(), [
    "/sgx/certification/v4/pckcrl?ca=processor&encoding=der",
    "/sgx/certification/v4/qe/identity?update=standard",
    "/sgx/certification/v4/rootcacrl",
    "/sgx/certification/v4/tcb?fmspc=00a067110000&update=standard",
  ]);
});

test("a TDX quote asks the TDX routes for TCB info and QE identity", () => {
  const platform = quotedPlatform(loadCase("tdx4-20a06f-uptodate/valid").quote);
  const urls = collateralUrls(INTEL_PCS, platform, "early");
  assert.equal(
    urls.tcbInfo.href,
    "https://api.trustedservices.intel.com/tdx/certification/v4/tcb?fmspc=20a06f000000&update=early",
  );
  assert.equal(urls.pckCrl.pathname, "/sgx/certification/v4/pckcrl");
  assert.equal(urls.rootCaCrl.href, "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der");
});

test("a revocation list is taken as DER, hex or PEM, and as nothing else", () => {
  const der = BUNDLE.collateral.pckCrl;
  const forms = [der, utf8(toHex(der)), utf8(toHex(der).toUpperCase()), utf8(encodePem("X509 CRL", der))];
  for (const form of forms) assert.deepEqual(decodeCrlBody(form), der);
  for (const other of ["", "<html>", "3", "-----BEGIN X509 CRL-----", "4000"]) {
    assert.throws(() => decodeCrlBody(utf8(other)), { code: "COLLATERAL_RESPONSE_MALFORMED" });
  }
});

test("a service is asked over HTTPS, or HTTP that stays on this machine, and nothing else", async () => {
  for (const url of [
    "http://pccs.example:8081/",
    "http://localhost.example/",
    "ftp://localhost/",
    "file:///tmp/",
    "localhost",
    "https://user@localhost/",
    "https://a/?b",
  ]) {
    await assert.rejects(fetchCollateral({ kind: "pccs", url }, PLATFORM), { code: "COLLATERAL_SERVICE_URL_INVALID" });
  }
  const local = { kind: "pccs", url: "http://127.0.0.1:9/" } as const;
  await assert.rejects(fetchCollateral(local, PLATFORM, { retries: 0 }), { code: "COLLATERAL_SERVICE_UNREACHABLE" });
});

test("a service whose certificate is not vouched for gets no request", async () => {
  await using pccs = await startTestPccs(BUNDLE.collateral);
  const { kind, url } = pccs.service;
  await assert.rejects(fetchCollateral({ kind, url }, PLATFORM, { ...FAST, retries: 0 }), {
    code: "COLLATERAL_SERVICE_UNREACHABLE",
  });
  assert.deepEqual(pccs.requests, []);
});

const status =
  (code: number): Interception =>
  (_request, response) => {
    response.writeHead(code, { location: "https://127.0.0.1/" }).end();
    return true;
  };

const faults: readonly [string, Interception, string, number][] = [
  ["404", status(404), "COLLATERAL_NOT_FOUND", 1],
  ["461, platform unknown", status(461), "COLLATERAL_NOT_FOUND", 1],
  ["400, bad request", status(400), "COLLATERAL_SERVICE_REFUSED", 1],
  ["410, version 3 ended", status(410), "COLLATERAL_VERSION_UNSUPPORTED", 1],
  ["462, certificates unavailable", status(462), "COLLATERAL_NOT_FOUND", 1],
  ["a redirect", status(302), "COLLATERAL_SERVICE_REFUSED", 1],
  ["429", status(429), "COLLATERAL_SERVICE_BUSY", 3],
  ["429 until in an hour", busyFor("3600"), "COLLATERAL_SERVICE_BUSY", 1],
  ["429 until 2100", busyFor("Fri, 01 Jan 2100 00:00:00 GMT"), "COLLATERAL_SERVICE_BUSY", 1],
  ["502, Intel's service failed", status(502), "COLLATERAL_SERVICE_FAILED", 3],
  ["503", status(503), "COLLATERAL_SERVICE_FAILED", 3],
  ["no answer", () => true, "COLLATERAL_SERVICE_TIMEOUT", 3],
  ["a cut connection", (request) => Boolean(request.socket.destroy()), "COLLATERAL_SERVICE_UNREACHABLE", 3],
  [
    "a body of 2 MiB",
    (_, response) => Boolean(response.end(Buffer.alloc(2 << 20))),
    "COLLATERAL_RESPONSE_TOO_LARGE",
    1,
  ],
  ["a body without end", endless, "COLLATERAL_RESPONSE_TOO_LARGE", 1],
  ["a body that stops half way", slow, "COLLATERAL_SERVICE_TIMEOUT", 3],
  ["a header of 80 KiB", hugeHeader, "COLLATERAL_SERVICE_UNREACHABLE", 3],
  ["no issuer chain", (_, response) => Boolean(response.end("{}")), "COLLATERAL_RESPONSE_MALFORMED", 1],
  ["a chain that is no PEM", badChain, "COLLATERAL_RESPONSE_MALFORMED", 1],
];

function busyFor(retryAfter: string): Interception {
  return (_, response) => Boolean(response.writeHead(429, { "retry-after": retryAfter }).end());
}

function endless(...[, response]: Parameters<Interception>): boolean {
  const chunk = Buffer.alloc(64 * 1024, 0x20);
  const more = (): void => {
    while (!response.destroyed && response.write(chunk)) continue;
  };
  response.on("drain", more);
  more();
  return true;
}

function slow(...[, response]: Parameters<Interception>): boolean {
  response.writeHead(200, { "content-length": "1000" }).write("{");
  return true;
}

function hugeHeader(...[, response]: Parameters<Interception>): boolean {
  response.writeHead(200, { "x-long": "a".repeat(80 * 1024) }).end();
  return true;
}

function badChain(...[, response]: Parameters<Interception>): boolean {
  response.writeHead(200, { "TCB-Info-Issuer-Chain": "%E0%A4%A" }).end("{}");
  return true;
}

for (const [title, intercept, code, attempts] of faults) {
  test(`the answer to TCB info is ${title}: ${code} after ${attempts}`, async () => {
    await using pccs = await startTestPccs(BUNDLE.collateral, (request, response) => {
      return request.url?.includes("/tcb?") === true && intercept(request, response);
    });
    // Short only where it has to run out: a slow machine may take its time for the rest.
    const timeoutMs = code === "COLLATERAL_SERVICE_TIMEOUT" ? 300 : 30_000;
    await assert.rejects(fetchCollateral(pccs.service, PLATFORM, { pauseMs: 1, timeoutMs, retries: 2 }), { code });
    assert.equal(pccs.requests.filter((path) => path.includes("/tcb?")).length, attempts);
  });
}

test("a failure that passes is waited out", async () => {
  let failures = 2;
  await using pccs = await startTestPccs(BUNDLE.collateral, (request, response) => {
    if (request.url?.endsWith("rootcacrl") !== true || failures === 0) return false;
    failures -= 1;
    response.writeHead(503).end();
    return true;
  });
  assert.deepEqual(await fetchCollateral(pccs.service, PLATFORM, FAST), BUNDLE.collateral);
});

test("a service that asks for a pause gets it", async () => {
  let at = 0;
  let pauseMs = 0;
  await using pccs = await startTestPccs(BUNDLE.collateral, (request, response) => {
    if (request.url?.endsWith("rootcacrl") !== true) return false;
    pauseMs = performance.now() - at;
    if (at > 0) return false;
    at = performance.now();
    return busyFor("1")(request, response);
  });
  assert.deepEqual(await fetchCollateral(pccs.service, PLATFORM, FAST), BUNDLE.collateral);
  assert.ok(pauseMs >= 990);
});

for (const crl of ["hex", "der", "pem"] as const) {
  for (const chains of ["percent", "plain"] as const) {
    test(`a service that sends lists as ${crl} and chains ${chains} gives the same collateral`, async () => {
      await using pccs = await startTestPccs(BUNDLE.collateral, undefined, { crl, chains });
      assert.deepEqual(await fetchCollateral(pccs.service, PLATFORM, FAST), BUNDLE.collateral);
    });
  }
}

test("a service of version 3 is asked without update type, and its header is known", async () => {
  await using pccs = await startTestPccs(BUNDLE.collateral);
  const service = { ...pccs.service, url: pccs.service.url.replace("/v4/", "/v3/") };
  assert.deepEqual(await fetchCollateral(service, PLATFORM, FAST), BUNDLE.collateral);
  assert.ok(pccs.requests.every((path) => path.includes("/v3/") && !path.includes("update")));
  const tdx = quotedPlatform(loadCase("tdx4-20a06f-uptodate/valid").quote);
  await assert.rejects(fetchCollateral(service, tdx, FAST), { code: "COLLATERAL_VERSION_UNSUPPORTED" });
});

test("a service of API 3.1 is asked for the root's list by its distribution point", async () => {
  await using pccs = await startTestPccs(BUNDLE.collateral);
  const service = { ...pccs.service, rootCrlRoute: "crl" } as const;
  assert.deepEqual(await fetchCollateral(service, PLATFORM, FAST), BUNDLE.collateral);
  const uri = encodeURIComponent("https://certificates.trustedservices.intel.com/IntelSGXRootCA.der");
  assert.ok(pccs.requests.includes(`/sgx/certification/v4/crl?uri=${uri}`));
});

test("only an explicit setting lets an unknown TLS certificate pass", async () => {
  await using pccs = await startTestPccs(BUNDLE.collateral);
  const { kind, url } = pccs.service;
  assert.deepEqual(await fetchCollateral({ kind, url, insecureTls: true }, PLATFORM, FAST), BUNDLE.collateral);
});

test("an aborted fetch ends, though the service never answers, and asks no more", async () => {
  const stop = new AbortController();
  await using pccs = await startTestPccs(BUNDLE.collateral, () => {
    stop.abort();
    return true;
  });
  const asked = new Set<string>();
  // An hour for an answer: only the abort can end it.
  const options = { signal: stop.signal, retries: 5, timeoutMs: 3_600_000 };
  await assert.rejects(fetchCollateral(pccs.service, PLATFORM, options));
  for (const url of pccs.requests) {
    assert.ok(!asked.has(url), `${url} was asked for twice`);
    asked.add(url);
  }
});
