#!/usr/bin/env bash
# The first process of a test node, in namespaces of its own: prepares the paths that containerd and the kubelet insist on, and runs the two and
# kube-proxy until one of them ends. Its end takes every pod of the node with it.
set -eu
name=$1 folder=$2 programs=$3
hostname "$name"
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/lock
for path in /var/lib/kubelet /var/lib/containerd /var/log/pods /var/log/containers /etc/cni/net.d; do
  mkdir -p "$path" "$folder$path"
  mount --bind "$folder$path" "$path"
done
cp "$folder/cni.conflist" /etc/cni/net.d/10-pods.conflist
containerd --config "$folder/containerd.toml" >>"$folder/containerd.log" 2>&1 &
until ctr --connect-timeout 1s version >/dev/null 2>&1; do sleep 0.2; done
for image in "$folder"/../images/*.tar; do ctr -n k8s.io images import "$image" >>"$folder/images.log" 2>&1; done
"$programs/kubelet" --config "$folder/kubelet.json" --kubeconfig "$folder/node.conf" --hostname-override "$name" \
  --node-ip "$(cat "$folder/address")" --root-dir /var/lib/kubelet >>"$folder/kubelet.log" 2>&1 &
"$programs/kube-proxy" --config "$folder/proxy.json" --hostname-override "$name" >>"$folder/proxy.log" 2>&1 &
wait -n
