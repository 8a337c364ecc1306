/** A number that SGX and TDX software gives its users instead of a reason. */
export interface ErrorNumber {
  readonly source: "quote provider" | "quote verification" | "AESM" | "mbedTLS" | "PCCS" | "Gramine" | "gRPC";
  readonly name: string;
  /** As printed, in all forms: 0xe01c, 57372, -0x7780, -30592. Absent where only a name is printed. */
  readonly number?: number;
  readonly cause: string;
  readonly remedy: string;
}

const PCK =
  "let the platform's quote provider fetch its PCK certificate: check /etc/sgx_default_qcnl.conf and the PCCS";
const COLLATERAL = "fetch the collateral again: cloister attest collateral fetch; check the clock";
const UPDATE = "update firmware, microcode and the quoting software; a policy can allow a status by name";
const AESM_INSTALL =
  "apt-get install libsgx-aesm-quote-ex-plugin libsgx-aesm-ecdsa-plugin libsgx-dcap-default-qpl; systemctl restart aesmd";
const BOTH_SIDES =
  "read the log of the other side too; cloister attest verify on the peer's certificate shows the step that failed";

type Row = readonly [number: number, name: string, cause: string, remedy: string];

/** quote3_error_t of Intel's quote provider and verification libraries: 0xE000 and the number. */
const QUOTE_PROVIDER: readonly Row[] = [
  [0xe001, "SGX_QL_ERROR_UNEXPECTED", "the library failed without a reason", "look at journalctl -u aesmd"],
  [
    0xe002,
    "SGX_QL_ERROR_INVALID_PARAMETER",
    "an argument is wrong, often a quote of another kind",
    "check what is passed",
  ],
  [0xe003, "SGX_QL_ERROR_OUT_OF_MEMORY", "memory ran out", "give the process or container more memory"],
  [
    0xe007,
    "SGX_QL_ERROR_STORED_KEY",
    "the stored attestation key is not this machine's",
    "delete ~/.dcap-qcnl and the key blob, try again",
  ],
  [0xe00d, "SGX_QL_INTERFACE_UNAVAILABLE", "AESM or its plugin is missing", AESM_INSTALL],
  [0xe00e, "SGX_QL_PLATFORM_LIB_UNAVAILABLE", "the quote provider library (QPL) is missing", AESM_INSTALL],
  [
    0xe00f,
    "SGX_QL_ATT_KEY_NOT_INITIALIZED",
    "the attestation key has to be made first",
    "try again; restart aesmd if it stays",
  ],
  [
    0xe010,
    "SGX_QL_ATT_KEY_CERT_DATA_INVALID",
    "the key's certification is out of date",
    "delete the cache of the quote provider, try again",
  ],
  [0xe011, "SGX_QL_NO_PLATFORM_CERT_DATA", "there is no PCK certificate for the platform's TCB", PCK],
  [
    0xe012,
    "SGX_QL_OUT_OF_EPC",
    "enclave memory ran out",
    "stop other enclaves, or raise the EPC limit of the container or VM",
  ],
  [0xe014, "SGX_QL_ENCLAVE_LOST", "the machine slept or migrated", "start the enclave again"],
  [
    0xe016,
    "SGX_QL_ENCLAVE_LOAD_ERROR",
    "the quoting enclave was not loaded",
    "check /dev/sgx_enclave and /dev/sgx_provision and their rights",
  ],
  [
    0xe019,
    "SGX_QL_NETWORK_ERROR",
    "the PCCS was not reached",
    "check address, proxy and firewall: cloister doctor --qcnl",
  ],
  [
    0xe01a,
    "SGX_QL_MESSAGE_ERROR",
    "the PCCS answered something else",
    "check that the address ends in /sgx/certification/v4/",
  ],
  [
    0xe01b,
    "SGX_QL_NO_QUOTE_COLLATERAL_DATA",
    "the PCCS has no collateral for the platform",
    "let the PCCS fetch it, or use Intel's service: --service intel",
  ],
  [
    0xe01c,
    "SGX_QL_QUOTE_CERTIFICATION_DATA_UNSUPPORTED",
    "the quote carries an encrypted PPID instead of a PCK certificate: the platform had no quote provider or no PCCS when it made it",
    PCK,
  ],
  [
    0xe01d,
    "SGX_QL_QUOTE_FORMAT_UNSUPPORTED",
    "the quote's version or structure is not known",
    "compare the versions on both sides",
  ],
  [
    0xe01f,
    "SGX_QL_QE_REPORT_INVALID_SIGNATURE",
    "the quoting enclave's report is not signed by the PCK",
    "do not trust the platform",
  ],
  [0xe021, "SGX_QL_PCK_CERT_UNSUPPORTED_FORMAT", "the PCK certificate cannot be read", PCK],
  [
    0xe022,
    "SGX_QL_PCK_CERT_CHAIN_ERROR",
    "the PCK chain does not verify; with the Azure DCAP client 1.10 a known fault of that version",
    "use a newer Azure DCAP client, or verify with cloister, which needs none",
  ],
  [0xe024, "SGX_QL_TCBINFO_MISMATCH", "the TCB info is for another platform", COLLATERAL],
  [0xe027, "SGX_QL_TCB_OUT_OF_DATE", "the platform is below Intel's newest TCB", UPDATE],
  [0xe028, "SGX_QL_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED", "below the newest TCB, and its settings need care", UPDATE],
  [
    0xe02b,
    "SGX_QL_QE_IDENTITY_OUT_OF_DATE",
    "the quoting enclave is old",
    "update libsgx-ae-qe3 (or the TDX one), restart aesmd",
  ],
  [0xe02c, "SGX_QL_SGX_TCB_INFO_EXPIRED", "the TCB info is past its next update", COLLATERAL],
  [0xe02d, "SGX_QL_SGX_PCK_CERT_CHAIN_EXPIRED", "the PCK chain is past its validity", PCK],
  [0xe02e, "SGX_QL_SGX_CRL_EXPIRED", "a revocation list is past its next update", COLLATERAL],
  [0xe02f, "SGX_QL_SGX_SIGNING_CERT_CHAIN_EXPIRED", "the TCB signer's chain is past its validity", COLLATERAL],
  [0xe030, "SGX_QL_SGX_ENCLAVE_IDENTITY_EXPIRED", "the QE identity is past its next update", COLLATERAL],
  [0xe031, "SGX_QL_PCK_REVOKED", "the platform's certificate is revoked", "do not use the platform"],
  [0xe032, "SGX_QL_TCB_REVOKED", "the platform's TCB level is revoked", UPDATE],
  [
    0xe033,
    "SGX_QL_TCB_CONFIGURATION_NEEDED",
    "the platform's settings need care (for example hyper-threading)",
    UPDATE,
  ],
  [0xe034, "SGX_QL_UNABLE_TO_GET_COLLATERAL", "the quote provider library was not found or gave nothing", AESM_INSTALL],
  [
    0xe035,
    "SGX_QL_ERROR_INVALID_PRIVILEGE",
    "no right to use the provisioning key",
    "add the user to sgx_prv; pass /dev/sgx_provision",
  ],
  [
    0xe03c,
    "SGX_QL_TCB_SW_HARDENING_NEEDED",
    "the enclave has to bring mitigations along",
    "allow SWHardeningNeeded in the policy once the code has them",
  ],
  [0xe03d, "SGX_QL_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED", "settings and mitigations need care", UPDATE],
  [0xe03f, "SGX_QL_NO_DEVICE", "there is no SGX device", "cloister doctor --for sgx"],
  [
    0xe040,
    "SGX_QL_SERVICE_UNAVAILABLE",
    "AESM does not answer",
    "systemctl restart aesmd; mount its socket into the container",
  ],
  [0xe041, "SGX_QL_NETWORK_FAILURE", "the network failed", "check proxy and firewall: cloister doctor --qcnl"],
  [0xe042, "SGX_QL_SERVICE_TIMEOUT", "a service did not answer in time", "try again; check the PCCS"],
  [0xe043, "SGX_QL_ERROR_BUSY", "the service is busy", "try again"],
  [0xe044, "SGX_QL_UNKNOWN_MESSAGE_RESPONSE", "the PCCS answered with an unknown status", "look at the PCCS's log"],
  [
    0xe045,
    "SGX_QL_PERSISTENT_STORAGE_ERROR",
    "the local cache cannot be written",
    "check rights and space of ~/.dcap-qcnl",
  ],
  [
    0xe046,
    "SGX_QL_ERROR_MESSAGE_PARSING_ERROR",
    "an answer of the collateral service cannot be read; with the Azure DCAP client 1.10 a known fault of that version",
    "use a newer Azure DCAP client or Intel's QPL with the azure preset's address",
  ],
  [
    0xe047,
    "SGX_QL_PLATFORM_UNKNOWN",
    "the PCCS does not know the platform (461)",
    "register the platform with the PCCS, or ask the cloud's own PCCS",
  ],
  [0xe048, "SGX_QL_UNKNOWN_API_VERSION", "the PCCS speaks another version", "use an address that ends in /v4/"],
  [0xe049, "SGX_QL_CERTS_UNAVAILABLE", "Intel has no certificate for the platform's TCB (462)", UPDATE],
];

/** sgx_ql_qv_result_t: the verdict of Intel's verification library; Gramine prints it. */
const VERIFICATION: readonly Row[] = [
  [0xa001, "SGX_QL_QV_RESULT_CONFIG_NEEDED", "verified; the platform's settings need care", UPDATE],
  [0xa002, "SGX_QL_QV_RESULT_OUT_OF_DATE", "verified; the platform is below Intel's newest TCB", UPDATE],
  [
    0xa003,
    "SGX_QL_QV_RESULT_OUT_OF_DATE_CONFIG_NEEDED",
    "verified; below the newest TCB, and settings need care",
    UPDATE,
  ],
  [0xa004, "SGX_QL_QV_RESULT_INVALID_SIGNATURE", "a signature does not verify", "do not trust the quote"],
  [0xa005, "SGX_QL_QV_RESULT_REVOKED", "certificate or TCB level is revoked", "do not use the platform"],
  [
    0xa006,
    "SGX_QL_QV_RESULT_UNSPECIFIED",
    "the library failed without a reason",
    "cloister attest verify shows the step",
  ],
  [0xa007, "SGX_QL_QV_RESULT_SW_HARDENING_NEEDED", "verified; the enclave has to bring mitigations along", UPDATE],
  [0xa008, "SGX_QL_QV_RESULT_CONFIG_AND_SW_HARDENING_NEEDED", "verified; settings and mitigations need care", UPDATE],
  [
    0xa009,
    "TDX_QL_QV_RESULT_TD_RELAUNCH_ADVISED",
    "the TDX module was updated after the TD started",
    "start the TD again",
  ],
];

/** aesm_error_t: what AESM tells Gramine ("AESM service returned error N"). */
const AESM: readonly Row[] = [
  [2, "AESM_NO_DEVICE_ERROR", "AESM sees no SGX device", "cloister doctor --for sgx"],
  [12, "AESM_NETWORK_ERROR", "AESM did not reach the network", "check its proxy: /etc/aesmd.conf"],
  [24, "AESM_SGX_DEVICE_NOT_AVAILABLE", "AESM sees no SGX device", "cloister doctor --for sgx"],
  [29, "AESM_OUT_OF_EPC", "enclave memory ran out", "stop other enclaves, or take a VM with more EPC"],
  [
    30,
    "AESM_SERVICE_UNAVAILABLE",
    "a plugin of AESM is missing, most often quote-ex (also in AKS's add-on)",
    AESM_INSTALL,
  ],
  [
    31,
    "AESM_UNRECOGNIZED_PLATFORM",
    "the platform is not registered",
    "register it with Intel, or use the cloud's PCCS",
  ],
  [
    42,
    "AESM_ATT_KEY_NOT_INITIALIZED",
    "the attestation key has to be made again",
    "try again; missing DCAP packages if it stays",
  ],
  [44, "AESM_NO_PLATFORM_CERT_DATA", "there is no PCK certificate for the platform's TCB", PCK],
];

/** Codes of mbedTLS, which Gramine's provisioning prints bare. */
const MBEDTLS: readonly Row[] = [
  [
    -0x3000,
    "MBEDTLS_ERR_X509_FATAL_ERROR",
    "RA-TLS verification refused the peer: TCB status, missing PCCS or quote provider, or a measurement",
    BOTH_SIDES,
  ],
  [
    -0x7780,
    "MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE",
    "the other side refused this one's certificate: its verification failed there",
    BOTH_SIDES,
  ],
  [
    -0x2700,
    "MBEDTLS_ERR_X509_CERT_VERIFY_FAILED",
    "the server's certificate is expired, for another name, or of another authority",
    "make new ones: cloister certs; the original's sample certificate ended on 2025-06-12",
  ],
  [
    -0x3e80,
    "MBEDTLS_ERR_PK_BAD_INPUT_DATA",
    "the peer's key is of a type that is not taken, for example RSA-3072 of Gramine 1.3",
    "use Gramine 1.4 or later, or allow legacy RSA",
  ],
  [-0x7280, "MBEDTLS_ERR_SSL_CONN_EOF", "the other side closed the connection", BOTH_SIDES],
  [-0x7880, "MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY", "the other side closed the connection", BOTH_SIDES],
  [
    -0x0044,
    "MBEDTLS_ERR_NET_CONNECT_FAILED",
    "nobody listens at the address",
    "check SECRET_PROVISION_SERVERS and that port 4433 is open",
  ],
  [-0x0050, "MBEDTLS_ERR_NET_CONN_RESET", "the connection was cut", BOTH_SIDES],
  [-0x0052, "MBEDTLS_ERR_NET_UNKNOWN_HOST", "the name is not known", "add the host, or fix DNS in the pod"],
];

/** HTTP statuses that only PCCS has, or uses in its own way. */
const PCCS: readonly Row[] = [
  [
    401,
    "PCCS_UNAUTHORIZED",
    "an admin route, or a PCS key is missing in the PCCS",
    "collateral needs no token; check the PCCS's API key",
  ],
  [
    404,
    "PCCS_NO_CACHE_DATA",
    "the PCCS has nothing for this platform",
    "let it fetch: caching mode LAZY or REQ, with a network",
  ],
  [410, "PCCS_VERSION_ENDED", "version 3 has ended", "use an address that ends in /v4/"],
  [429, "PCS_TOO_MANY_REQUESTS", "too many requests", "share one PCCS or one cache between verifiers"],
  [460, "PCCS_INTEGRITY_ERROR", "what the PCCS cached is broken", "refresh its cache"],
  [
    461,
    "PCCS_PLATFORM_UNKNOWN",
    "the PCCS does not know the platform",
    "register the platform, or ask the cloud's own PCCS",
  ],
  [462, "PCCS_CERTS_UNAVAILABLE", "Intel has no certificate for the platform's TCB", UPDATE],
  [502, "PCCS_PCS_FAILED", "the PCCS did not reach Intel", "check the PCCS's network and API key"],
];

/** Texts without a number. */
const NAMED: readonly ErrorNumber[] = [
  {
    source: "Gramine",
    name: "EACCES",
    cause: "a protected file is opened under another path than the one it was sealed for, or with another key",
    remedy: "seal it for the path inside the enclave: cloister seal inspect shows the bound path",
  },
  {
    source: "Gramine",
    name: "ENOMEM",
    cause: "the enclave is larger than the machine's EPC or memory allows",
    remedy: "reduce sgx.enclave_size, or take a VM with more EPC",
  },
  {
    source: "gRPC",
    name: "SO_REUSEPORT",
    cause: "Gramine does not know this socket option; gRPC prints an error and goes on",
    remedy: "nothing: it is harmless (grpc.so_reuseport=0 silences it)",
  },
];

const rows = (source: ErrorNumber["source"], list: readonly Row[]): ErrorNumber[] =>
  list.map(([number, name, cause, remedy]) => ({ source, number, name, cause, remedy }));

/** Error numbers that users of SGX, TDX, Gramine and PCCS meet, with causes and remedies. */
export const ERROR_NUMBERS: readonly ErrorNumber[] = [
  ...rows("quote provider", QUOTE_PROVIDER),
  ...rows("quote verification", VERIFICATION),
  ...rows("AESM", AESM),
  ...rows("mbedTLS", MBEDTLS),
  ...rows("PCCS", PCCS),
  ...NAMED,
];
