/**
 * Programs that play a machine's for tests of the set-up: each keeps what it was told in the folder `$S`. They record their
 * arguments in `$S/calls` where they change something.
 */
export const STAND_INS: Readonly<Record<string, string>> = {
  id: "echo 0",
  swapon: '[ ! -f "$S/swap" ] || echo /swapfile',
  swapoff: 'echo "swapoff $*" >> "$S/calls"; rm -f "$S/swap"',
  modprobe: 'echo "modprobe $*" >> "$S/calls"',
  sysctl: `
case "$1" in
  -n) cat "$S/sysctl.$2" 2>/dev/null || echo 0 ;;
  -p) echo "sysctl $*" >> "$S/calls"; sed 's/ = / /' "$2" | while read -r name value; do echo "$value" > "$S/sysctl.$name"; done ;;
esac`,
  "apt-get": `
echo "apt-get $*" >> "$S/calls"
[ "$1" = install ] || exit 0
for word in "$@"; do
  case "$word" in
    install|-*) ;;
    containerd.io) echo "install ok installed 2.2.1-1" > "$S/$word"; echo "$word" >> "$S/packages" ;;
    *=*) name=\${word%%=*}; version=\${word#*=}; echo "install ok installed \${version%\\*}3-1.1" > "$S/$name"; echo "$word" >> "$S/packages" ;;
    *) echo "install ok installed 1" > "$S/$word"; echo "$word" >> "$S/packages" ;;
  esac
done`,
  "apt-mark": `
echo "apt-mark $*" >> "$S/calls"; shift
for name in "$@"; do sed -i 's/^install/hold/' "$S/$name"; done`,
  "dpkg-query": `
# -W -f FORMAT NAME
[ -f "$S/$4" ] || exit 1
read -r want error status version < "$S/$4"
case "$3" in
  *Status*Version*) echo "$want $error $status $version" ;;
  *Status*) echo "$want $error $status" ;;
  *) echo "$version" ;;
esac`,
  dpkg: "echo amd64",
  gpg: `
for file; do :; done
[ -f "$file" ] || exit 2
case "$(cat "$file")" in
  *k8s*) key=DE15B14486CD377B9E876E1A234654DA9A296436 ;;
  *) key=9DC858229FC7DD38854AE2D88D81803C0EBFCD88 ;;
esac
[ ! -f "$S/fingerprint" ] || key=$(cat "$S/fingerprint")
echo "fpr:::::::::$key:"`,
  curl: `
echo "curl $*" >> "$S/calls"
while [ $# -gt 1 ]; do [ "$1" != -o ] || output=$2; shift; done
case "$1" in
  *flannel*) printf '  net-conf.json: |\\n    {\\n      "Network": "10.244.0.0/16",\\n    }\\n' > "$output" ;;
  *) echo "key of $1" > "$output" ;;
esac`,
  containerd: `printf '%s\\n' 'disabled_plugins = []' "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]" "  BinaryName = ''"`,
  systemctl: `
case "$1" in
  is-enabled|is-active) [ -f "$S/$1.$3" ] ;;
  enable) echo "systemctl $*" >> "$S/calls"; touch "$S/is-enabled.$2" ;;
  restart) echo "systemctl $*" >> "$S/calls"; touch "$S/is-active.$2" ;;
esac`,
  kubeadm: `
case "$1" in
  version) echo v1.36.3 ;;
  init) echo "kubeadm $*" >> "$S/calls"; mkdir -p "\${3%/*}/manifests"; touch "\${3%/*}/manifests/kube-apiserver.yaml" "$S/ready" "$S/taint" ;;
  token) echo "kubeadm $*" >> "$S/calls"
    echo "kubeadm join 10.0.0.1:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:ab " ;;
  join) echo "kubeadm $*" >> "$S/calls"; [ -f "$3" ] || exit 1; touch "$S/../etc/kubernetes/kubelet.conf" "$S/is-active.kubelet" ;;
esac`,
  kubectl: `
shift 2
case "$*" in
  *readyz*) [ -f "$S/ready" ] ;;
  *'get configmap'*) cat "$S/flannel" ;;
  *'rollout status'*|wait*) [ -f "$S/flannel" ] ;;
  apply*) echo "kubectl $1" >> "$S/calls"; cat "$3" > "$S/flannel" ;;
  *'-o name'*) echo node/one ;;
  *taints*) [ ! -f "$S/taint" ] || echo node-role.kubernetes.io/control-plane ;;
  taint*) echo "kubectl $*" >> "$S/calls"; rm "$S/taint" ;;
esac`,
};
