import assert from "node:assert/strict";
import { test } from "node:test";
import { collateralUrls } from "../collateral/collateral-request.ts";
import { PRESETS } from "./presets.ts";
import { parseQcnl, qcnlService } from "./qcnl.ts";

const SHIPPED = `{
  // *** ATTENTION : This file is in JSON format so the keys are case sensitive. ***
  "pccs_url": "https://pccs.service.com:8081/sgx/certification/v4/" /* the PCCS */
  ,"use_secure_cert": true
  //,"collateral_service": "https://api.trustedservices.intel.com/sgx/certification/v4/"
  ,"tcb_update_type" : "early"
  ,"retry_times": 6
  ,"retry_delay": 10
  ,"pck_cache_expire_hours": 168
  ,"verify_collateral_cache_expire_hours": 168
  ,"local_cache_only": false
  ,"custom_request_options" : { "get_cert" : { "headers": { "head1": "value1" }, "params": { "a": "b" } } }
}
`;
const PLATFORM = { tee: "sgx", fmspc: "00606a000000", pckCa: "platform" } as const;

test("the file that Intel ships is read, with its comments", () => {
  const settings = parseQcnl(SHIPPED);
  assert.deepEqual(settings, {
    form: "json",
    pccsUrl: "https://pccs.service.com:8081/sgx/certification/v4/",
    useSecureCert: true,
    updateType: "early",
    apiVersion: "3.0",
    retryTimes: 6,
    retryDelay: 10,
    pckCacheExpireHours: 168,
    collateralCacheExpireHours: 168,
    localCacheOnly: false,
  });
  assert.deepEqual(qcnlService(settings), {
    service: { kind: "pccs", url: "https://pccs.service.com:8081/sgx/certification/v4/", rootCrlRoute: "rootcacrl" },
    update: "early",
    retries: 6,
    pauseMs: 10_000,
    maxAgeMs: 168 * 3_600_000,
  });
});

test("the old form is read: white space dropped, comments and unknown names ignored", () => {
  const settings = parseQcnl(
    [
      "# PCCS server address",
      " PCCS_URL = https://localhost:8081/sgx/certification/v3/ ",
      "USE_SECURE_CERT=TRUE\r",
      "RETRY_TIMES=2",
      "PCCS_API_VERSION=3.1",
      "VERIFY_COLLATERAL_CACHE_EXPIRE_HOURS=99999",
      "constructor=1",
      "SOMETHING_ELSE=1",
    ].join("\n"),
  );
  assert.equal(settings.form, "lines");
  assert.equal(settings.pccsUrl, "https://localhost:8081/sgx/certification/v3/");
  assert.equal(settings.useSecureCert, true);
  assert.equal(settings.collateralCacheExpireHours, 2160);
  assert.deepEqual(qcnlService(settings), {
    service: { kind: "pccs", url: "https://localhost:8081/sgx/certification/v3/", rootCrlRoute: "crl" },
    update: "standard",
    retries: 2,
    pauseMs: 1000,
    maxAgeMs: 2160 * 3_600_000,
  });
});

test("an empty file has the defaults of Intel's library", () => {
  const { service, update, retries, maxAgeMs } = qcnlService(parseQcnl(""));
  assert.deepEqual(service, {
    kind: "pccs",
    url: "https://localhost:8081/sgx/certification/v4/",
    rootCrlRoute: "rootcacrl",
  });
  assert.deepEqual([update, retries, maxAgeMs], ["standard", 0, undefined]);
});

test("JSON values of the wrong type are ignored, names are case-sensitive", () => {
  const settings = parseQcnl(
    '{"pccs_url": 5, "PCCS_URL": "https://other/", "use_secure_cert": "false", "retry_times": -1}',
  );
  assert.equal(settings.pccsUrl, "https://localhost:8081/sgx/certification/v4/");
  assert.equal(settings.useSecureCert, true);
  assert.equal(settings.retryTimes, 0);
});

test("broken JSON is an error and not taken for the old form", () => {
  const bad = [
    '{"pccs_url": ',
    "{PCCS_URL=https://a/}",
    "{} /* open",
    '{"a":1}{"b":2}',
    '{"a":1,"a":2}',
    " {",
    "x".repeat(70_000),
  ];
  for (const text of bad) assert.throws(() => parseQcnl(text), { code: "QCNL_MALFORMED" });
});

test("an unknown update type is an error", () => {
  assert.throws(() => parseQcnl('{"tcb_update_type": "late"}'), { code: "QCNL_MALFORMED" });
});

test("the collateral service goes before the PCCS, and Intel's host is asked as Intel's service", () => {
  const url = "https://api.trustedservices.intel.com/sgx/certification/v4/";
  const { service } = qcnlService(parseQcnl(`{"pccs_url":"https://a/","collateral_service":"${url}"}`));
  assert.deepEqual(service, { kind: "pcs", url });
  assert.equal(
    collateralUrls(service, PLATFORM, "standard").rootCaCrl.href,
    "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der",
  );
});

test("a file that turns the TLS check off needs the operator's own word", () => {
  for (const text of ['{"use_secure_cert": false}', "USE_SECURE_CERT=FALSE", "USE_SECURE_CERT = false"]) {
    const settings = parseQcnl(text);
    assert.throws(() => qcnlService(settings), { code: "QCNL_INSECURE_TLS" });
    assert.equal(qcnlService(settings, { allowInsecureTls: true }).service.insecureTls, true);
  }
});

test("a service without TLS is taken on this machine only", () => {
  for (const url of ["http://pccs:8081/", "ftp://localhost/", "localhost:8081", "//a"]) {
    assert.throws(() => qcnlService(parseQcnl(`{"pccs_url":"${url}"}`)), { code: "QCNL_URL_NOT_PROTECTED" });
  }
  assert.equal(qcnlService(parseQcnl("PCCS_URL=http://[::1]:8081/")).service.url, "http://[::1]:8081/");
});

test("every preset gives HTTPS addresses of version 4", () => {
  assert.deepEqual([...PRESETS.keys()], ["intel", "azure", "alibaba", "tencent", "bytedance", "local"]);
  for (const { service } of PRESETS.values()) {
    const { tcbInfo } = collateralUrls(service, PLATFORM, "standard");
    assert.equal(tcbInfo.protocol, "https:");
    assert.equal(tcbInfo.pathname, "/sgx/certification/v4/tcb");
  }
});
