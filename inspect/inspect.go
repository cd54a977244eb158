// Package inspect says what a configuration means: Check finds what it accepts and hardly anybody wants, such as routes
// that no request can reach, and Explain says which route a request takes, and why the others do not.
//
// It owns no rules of its own. What a configuration may say is config's business, and every fault here is one of
// config's, or of the compilation that control does. Which route wins is routing's: Explain asks the same tables as the
// data plane, and takes the rules apart only to give reasons. A warning is always true; what is not warned of may
// be doubtful all the same, where finding it would take more than the bounds allow.
//
// What a ClientHello says is tls/hello's to tell, which certificate answers it tls/certs's, and whether keys for
// tickets are such tls/handshake's.
//
// The package never reaches the data plane: it imports those, config, plan for its types, and routing with what is
// below it, and is imported by the commands, and by server for admin. Its results have JSON names that do not change.
package inspect

import (
	"fmt"
	"strings"

	"github.com/uringproxy/uringproxy/config"
)

// Severity says what becomes of a configuration with a Finding: with a fault it is refused.
type Severity string

const (
	Fault   Severity = "fault"
	Warning Severity = "warning"
)

// Codes of findings.
const (
	Invalid         = "invalid"          // a fault
	Shadowed        = "shadowed"         // a route that no request reaches, since others go before it
	Duplicate       = "duplicate"        // the same, and one other route has all of its conditions
	Never           = "never"            // a route that nothing can fit
	PartShadowed    = "part-shadowed"    // Shadowed, for some alternatives of a rule
	PartNever       = "part-never"       // Never, for some of them
	TLSOnPlain      = "tls-on-plain"     // a condition on TLS where there is none
	Redirected      = "redirected"       // a route whose listeners send everybody to https
	Swallowed       = "swallowed"        // a listener of which a tcp route takes all connections
	IdleTLS         = "idle-tls"         // a tls table by which no tcp route of its listener ends TLS
	OpenProxy       = "open-proxy"       // PROXY headers from everybody
	OpenUpgrade     = "open-upgrade"     // an upgrade that is a way around the routes
	IdleConnect     = "idle-connect"     // CONNECT let through where it never comes
	Circle          = "circle"           // an endpoint that is a listener before it
	SelfSigned      = "self-signed"      // a certificate that is made up at start
	Certificate     = "certificate"      // one that clients refuse, or will soon, or that is not kept well
	Uncovered       = "uncovered-host"   // a route's host that no certificate is for
	UnusedName      = "unused-name"      // a certificate's name that no route is for
	Unverified      = "unverified"       // a certificate of the other side that nobody checks
	OpenSecret      = "open-secret"      // a file with a secret that others may read
	UnusedService   = "unused-service"   // a service that no route names
	IdleListener    = "idle-listener"    // a listener that has no route
	LooseRegexp     = "loose-regexp"     // an expression outside the automaton
	PrivilegedPort  = "privileged-port"  // a port that this user may not listen on
	UnresolvedName  = "unresolvable"     // an endpoint's name that has no address here
	ComparedInParts = "compared-in-part" // routes of which more might have been said
)

// Finding is something that is wrong with a configuration, or probably is.
type Finding struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`
	File     string   `json:"file"`
	// Line and Column count from 1; both are 0 when the finding is not at one place of the file.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Key is the path of the key, as "routes.api.rule".
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// By are the routes that make it so, if others do.
	By []string `json:"by,omitempty"`

	excerpt string
}

// String is the finding in one line, with its position first so that editors can follow it.
func (f *Finding) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	if f.Severity == Warning {
		b.WriteString(": warning")
	}
	if f.Key != "" {
		b.WriteString(": " + f.Key)
	}
	b.WriteString(": " + f.Message)
	if f.Hint != "" {
		b.WriteString("; " + f.Hint)
	}
	if f.Severity == Warning {
		b.WriteString(" [" + f.Code + "]")
	}
	return b.String()
}

// Excerpt shows the line with a caret, as config.Fault.Excerpt does.
func (f *Finding) Excerpt() string { return f.excerpt }

// found makes a finding of a fault of config's, whose Expected may be empty.
func found(severity Severity, code string, f config.Fault) Finding {
	message := f.Found
	if severity == Fault {
		message = "found " + f.Found
	}
	if f.Expected != "" {
		message += ", expected " + f.Expected
	}
	return Finding{
		Severity: severity, Code: code, File: f.File, Line: f.Line, Column: f.Column, Key: f.Key,
		Message: message, Hint: f.Hint, excerpt: f.Excerpt(),
	}
}

// Counts say how much there is.
type Counts struct {
	Listeners int `json:"listeners"`
	Routes    int `json:"routes"`
	TCPRoutes int `json:"tcp_routes,omitempty"`
	UDPRoutes int `json:"udp_routes,omitempty"`
	Services  int `json:"services"`
	Endpoints int `json:"endpoints"`
	Faults    int `json:"faults"`
	Warnings  int `json:"warnings"`
}

// Result is what Check finds.
type Result struct {
	// OK tells that there is no fault: a process would run with it.
	OK       bool      `json:"ok"`
	Faults   []Finding `json:"faults"`
	Warnings []Finding `json:"warnings"`
	// Counts of findings are greater than the lists are long where there are more than these hold.
	Counts Counts `json:"counts"`
}

// Refused is the result for a configuration that config refuses.
func Refused(faults config.Faults) *Result {
	r := &Result{Faults: []Finding{}, Warnings: []Finding{}, Counts: Counts{Faults: faults.Count()}}
	for _, f := range faults {
		r.Faults = append(r.Faults, found(Fault, Invalid, f))
	}
	return r
}
