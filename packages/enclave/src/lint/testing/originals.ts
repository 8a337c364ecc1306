// Manifests that say what the original system's say, written from its description (shared specification original-system.md,
// sections 0, 1.7, 1.11), not copied.

/** The default template of the latest revision. */
export const DEFAULT_TEMPLATE = `
libos.entrypoint = "tensorflow_model_server"
loader.entrypoint = "file:{{ gramine.libos }}"
loader.log_level = "{{ log_level }}"
loader.insecure__use_cmdline_argv = true
loader.pal_internal_mem_size = "200M"
loader.env.LD_LIBRARY_PATH = "{{ python.stdlib }}/lib:/lib:{{ arch_libdir }}:/usr/{{ arch_libdir }}:./"
loader.env.LD_PRELOAD = "libsecret_prov_attest.so"
loader.env.SECRET_PROVISION_CONSTRUCTOR = "1"
loader.env.SECRET_PROVISION_SET_KEY = "default"
loader.env.SECRET_PROVISION_CA_CHAIN_PATH = "ssl/ca.crt"
loader.env.SECRET_PROVISION_SERVERS = "attestation.service.com:4433"

sys.enable_sigterm_injection = true
sys.stack.size = "4M"

fs.mounts = [
  { path = "/lib", uri = "file:{{ gramine.runtimedir() }}" },
  { path = "{{ arch_libdir }}", uri = "file:{{ arch_libdir }}" },
  { path = "/usr/{{ arch_libdir }}", uri = "file:/usr/{{ arch_libdir }}" },
  { path = "/etc", uri = "file:/etc" },
{% for path in python.get_sys_path(entrypoint) %}
  { path = "{{ path }}", uri = "file:{{ path }}" },
{% endfor %}
  { path = "/models/resnet50-v15-fp32/1/saved_model.pb", uri = "file:models/resnet50-v15-fp32/1/saved_model.pb", type = "encrypted" },
]

sgx.enclave_size = "4G"
sgx.thread_num = 400
sgx.nonpie_binary = true
sgx.remote_attestation = "{{ ra_type }}"
sgx.trusted_files = [
  "file:{{ gramine.libos }}",
  "file:{{ gramine.runtimedir() }}/",
  "file:{{ arch_libdir }}/",
  "file:/usr/{{ arch_libdir }}/",
{% for path in python.get_sys_path(entrypoint) %}
  "file:{{ path }}{{ '/' if path.is_dir() else '' }}",
{% endfor %}
  "file:ssl/ca.crt",
  "file:tensorflow_model_server",
]
sgx.allowed_files = [
  "file:/etc/host.conf",
  "file:/etc/hosts",
  "file:/etc/nsswitch.conf",
  "file:/etc/resolv.conf",
  "file:ssl.cfg",
]
`;

/** What the variant for Anolis OS says otherwise. */
export const ANOLIS_TEMPLATE = DEFAULT_TEMPLATE.replace(
  'sgx.remote_attestation = "{{ ra_type }}"',
  "sgx.remote_attestation = true",
)
  .replace(
    'type = "encrypted" },\n]',
    'type = "encrypted" },\n  { path = "/ssl.cfg", uri = "file:ssl.cfg", type = "encrypted" },\n]',
  )
  .replace('  "file:ssl.cfg",\n', '  "file:/etc/ethers",\n  "file:/tmp",\n');

/** Tencent's packer fixes the arguments itself; the rest is a manifest. */
export const TENCENT_TOML = `
app.capi_target = "ccp.tencentcloudapi.com"
app.kms_target = "kms.tencentcloudapi.com"
libos.entrypoint = "tensorflow_model_server"
loader.entrypoint = "file:/usr/lib/x86_64-linux-gnu/gramine/libsysdb.so"
loader.log_level = "error"
loader.pal_internal_mem_size = "200M"
loader.env.LD_PRELOAD = "libsecret_prov_attest.so"
loader.env.SECRET_PROVISION_CONSTRUCTOR = "1"
loader.env.SECRET_PROVISION_SET_KEY = "default"
loader.env.SECRET_PROVISION_CA_CHAIN_PATH = "/ssl/ca.crt"
loader.env.SECRET_PROVISION_SERVERS = "attestation.service.com:4433"
fs.mounts = [
  { path = "/models/resnet50-v15-fp32/1/saved_model.pb", uri = "file:/models/resnet50-v15-fp32/1/saved_model.pb", type = "encrypted" },
]
sgx.enclave_size = "4G"
sgx.thread_num = 400
sgx.nonpie_binary = true
sgx.remote_attestation = "dcap"
sgx.allowed_files = ["file:/"]
`;

/** The revision that the project started from. */
export const FIRST_TEMPLATE = `
loader.preload = "file:/gramine/libsysdb.so"
libos.entrypoint = "tensorflow_model_server"
loader.log_level = "error"
loader.insecure__use_cmdline_argv = true
loader.env.LD_PRELOAD = "libsecret_prov_attest.so"
loader.env.SECRET_PROVISION_CONSTRUCTOR = "1"
loader.env.SECRET_PROVISION_SET_PF_KEY = "1"
loader.env.SECRET_PROVISION_CA_CHAIN_PATH = "certs/test-ca-sha256.crt"
loader.env.SECRET_PROVISION_SERVERS = "attestation.service.com:4433"
fs.mount.lib.type = "chroot"
fs.mount.lib.path = "/lib"
fs.mount.lib.uri = "file:/gramine/lib"
sgx.remote_attestation = 1
sgx.enclave_size = "4G"
sgx.thread_num = 400
sgx.protected_files = ["file:models/resnet50-v15-fp32/1/saved_model.pb"]
sgx.trusted_files.libos = "file:/gramine/libsysdb.so"
sgx.trusted_files.ca = "file:certs/test-ca-sha256.crt"
sgx.allowed_files.ssl = "file:ssl.cfg"
`;
