package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiledSchema is the schema as another program reads it.
func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := DescribeFile().JSON()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON makes of what the TOML library returns what a JSON library would.
func asJSON(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for key, item := range v {
			m[key] = asJSON(item)
		}
		return m
	case []any:
		list := []any{}
		for _, item := range v {
			list = append(list, asJSON(item))
		}
		return list
	case int64:
		return int(v)
	}
	return v
}

func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var root map[string]any
	if _, err := decodeTOML(text, &root); err != nil {
		t.Fatal(err)
	}
	return s.Validate(asJSON(root))
}

func TestSchemaFitsWhatWeWrite(t *testing.T) {
	s := compiledSchema(t)
	files := []string{"default.toml", "testdata/everything.toml"}
	for _, pattern := range []string{"../examples/*.toml", "../examples/conf.d/*.toml"} {
		more, err := filepath.Glob(pattern)
		if err != nil || len(more) < 3 {
			t.Fatalf("%s: %d files, %v", pattern, len(more), err)
		}
		files = append(files, more...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, s, string(text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestSchemaRefusesFaults: what is one key long and wrong is wrong for the schema as well, and what is right is right.
func TestSchemaRefusesFaults(t *testing.T) {
	s := compiledSchema(t)
	for text, ok := range map[string]bool{
		"x = 1":                                   false,
		"[x]":                                     false,
		"[routes]\nx = 1":                         false,
		"[routes.a]":                              false,
		"[routes.a]\nservce = \"a\"":              false,
		"[routes.a]\nservice = 1":                 false,
		"[routes.a]\nservice = \"a\"":             true,
		"[routes.\"a b\"]\nservice = \"a\"":       false,
		"[routes.a]\nservice = \"a\"\nhost = []":  false,
		"[routes.a]\nservice = \"a\"\nhost = [1]": false,
		"[routes.a]\nservice = \"a\"\nheaders = { x = false }":             false,
		"[routes.a]\nservice = \"a\"\nheaders = { x = true, y = [\"z\"] }": true,
		"[routes.a]\nservice = \"a\"\npriority = 10000000":                 false,
		"[listeners.a]": false,
		"[listeners.a]\naddress = \":1\"\nprotocol = \"tcp\"":              true,
		"[listeners.a]\naddress = \":1\"\nprotocol = \"quic\"":             false,
		"[listeners.a]\naddress = \":1\"\nproxy_protocol = true":           false,
		"[listeners.a]\naddress = \":1\"\nproxy_protocol = \"::1\"":        true,
		"[routes.a]\nservice = \"a\"\nupgrades = []\nconnect = true":       true,
		"[routes.a]\nservice = \"a\"\nupgrades = true":                     false,
		"[routes.a]\nservice = \"a\"\ndestination_port = [1, \"2-3\"]":     true,
		"[routes.a]\nservice = \"a\"\ndestination_port = 1":                true,
		"[routes.a]\nservice = \"a\"\ndestination_port = [true]":           false,
		"[tcp_routes.a]\nservice = \"a\"\ntls = \"terminate\"":             true,
		"[tcp_routes.a]\nservice = \"a\"\ntls = true":                      false,
		"[tcp_routes.a]\nservice = \"a\"\nmax_connections = -1":            false,
		"[udp_routes.a]\nservice = \"a\"\nclient_ip = \"::1\"":             true,
		"[udp_routes.a]\nservice = \"a\"\nsni = \"a.test\"":                false,
		"[udp_routes.a]\nservice = \"a\"\ntls = \"terminate\"":             false,
		"[services.a]\nendpoints = \"tcp://a:1\"\nproxy_protocol = \"v2\"": true,
		"[services.a]\nendpoints = \"tcp://a:1\"\nproxy_protocol = 2":      false,
		"[services.a]\nendpoints = \"udp://a:1\"\nbalance = \"client_ip\"": true,
		"[services.a]":                   false,
		"[services.a]\nendpoints = []":   false,
		"[services.a]\nendpoints = [{}]": false,
		"[services.a]\nendpoints = [{ url = \"http://a\", weight = 0 }]":                           false,
		"[services.a]\nendpoints = { url = \"http://a\", weight = 2 }":                             true,
		"[engine]\nbackend = \"urign\"":                                                            false,
		"[engine]\nshards = 257":                                                                   false,
		"[engine]\nshards = \"2\"":                                                                 false,
		"[limits]\nbody_bytes = \"10\"":                                                            false,
		"[limits]\nbody_bytes = \"10 MiB\"":                                                        true,
		"[limits]\nbody_bytes = 0":                                                                 false,
		"[timeouts]\nidle = \"5 s\"":                                                               false,
		"[timeouts]\nidle = \"1m30s\"":                                                             true,
		"[log.access]\nformat = \"xml\"":                                                           false,
		"[admin]\naddress = \"off\"":                                                               true,
		"[listeners.a]\naddress = \":1\"\nredirect_https = true":                                   true,
		"[listeners.a]\naddress = \":1\"\nredirect_https = { port = 1 }":                           true,
		"[listeners.a]\naddress = \":1\"\nredirect_https = { port = 0 }":                           false,
		"[listeners.a]\naddress = \":1\"\nredirect_https = \"yes\"":                                false,
		"[listeners.a]\naddress = \":1\"\nhsts = { max_age = \"1h\" }":                             true,
		"[listeners.a]\naddress = \":1\"\nhsts = { max-age = \"1h\" }":                             false,
		"[listeners.a]\naddress = \":1\"\ntls = {}":                                                true,
		"[listeners.a]\naddress = \":1\"\ntls = true":                                              false,
		"[listeners.a]\naddress = \":1\"\ntls.min_version = \"1.1\"":                               false,
		"[listeners.a]\naddress = \":1\"\ntls.certificates = { cert = \"a\" }":                     false,
		"[listeners.a]\naddress = \":1\"\ntls.certificates = { cert = \"a\", key = \"b\" }":        true,
		"[listeners.a]\naddress = \":1\"\ntls.certificates = [{ cert = \"a\", key = \"b\" }]":      true,
		"[listeners.a]\naddress = \":1\"\ntls.names.\"*.a.test\".min_version = \"1.3\"":            true,
		"[listeners.a]\naddress = \":1\"\ntls.names.\"*.a.test\".strict = true":                    false,
		"[listeners.a]\naddress = \":1\"\ntls.client_certificate = { mode = \"on\" }":              false,
		"[services.a]\nendpoints = \"https://a\"\ntls.certificate = { cert = \"a\", key = \"b\" }": true,
		"[services.a]\nendpoints = \"https://a\"\ntls.certificate = { cert = \"a\" }":              false,
		"[tcp_routes.a]\nservice = \"a\"\nsni = \"a.test\"":                                        true,
		"[tcp_routes.a]\nservice = \"a\"\nhost = \"a.test\"":                                       false,
		"[tcp_routes.a]\nsni = \"a.test\"":                                                         false,
	} {
		if err := validate(t, s, text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestSchemaKnowsUnits: the patterns take what the parsers take, bounds apart.
func TestSchemaKnowsUnits(t *testing.T) {
	s := compiledSchema(t)
	for _, v := range strings.Fields("0 0B 1B 64KiB 64kib 10MB 1 B KiB -1B 1.5KiB 1K +1B 1_0B 3TiB 0.5KB") {
		_, ok := parseSize(v)
		if err := validate(t, s, "[limits]\nbody_bytes = \""+v+"\""); (err == nil) != ok {
			t.Errorf("size %q: %v", v, err)
		}
	}
	for _, v := range strings.Fields("0 0s 250ms 1m30s 1.5s 24h 1.s 1 s -1s +1s 1us 1d forever 1h1h") {
		_, ok := parseDuration(v)
		if err := validate(t, s, "[timeouts]\nidle = \""+v+"\""); (err == nil) != ok {
			t.Errorf("duration %q: %v", v, err)
		}
	}
}
