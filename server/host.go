package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
)

// onlyKnownHosts refuses requests that ask for a host that this node is not called by. A page on the internet can let its own
// name point to this node's address (DNS rebinding). The browser then takes the node for that page's server, and lets the page
// read and act: only the Host header still tells.
func onlyKnownHosts(hosts []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !knownHost(hosts, r.Host) {
			writeError(w, http.StatusMisdirectedRequest, outcome{code: codes.PermissionDenied, text: fmt.Sprintf(
				"this node is not called %q: ask for its address or localhost, or add the name to listen.hosts", r.Host)})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knownHost reports whether a Host header names this node: by an address, which no page's name can be, as localhost, or by
// one of hosts. Without the header (HTTP/1.0) it is no browser that asks.
func knownHost(hosts []string, header string) bool {
	if header == "" {
		return true
	}
	host := strings.TrimSuffix((&url.URL{Host: header}).Hostname(), ".")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(host, "localhost") || slices.ContainsFunc(hosts, func(name string) bool { return strings.EqualFold(host, name) })
}
