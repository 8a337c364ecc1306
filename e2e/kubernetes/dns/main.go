// The DNS of a cluster: CoreDNS with the parts that a test needs.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	// In the order in which a question passes them.
	dnsserver.Directives = []string{"bind", "errors", "hosts", "kubernetes", "template"}
	coremain.Run()
}
