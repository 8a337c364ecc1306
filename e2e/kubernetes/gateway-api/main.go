// Package main keeps the module of the Gateway API required: the rig installs the CRD files that it carries.
package main

import _ "sigs.k8s.io/gateway-api/pkg/consts"

func main() {}
