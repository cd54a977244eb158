package e2e

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// typed is a program that is told line by line what to send.
type typed struct {
	*process
	in io.WriteCloser
}

func startTyped(t *testing.T, tool string, args ...string) *typed {
	t.Helper()
	cmd := exec.Command(Tool(t, tool), args...)
	in, err := cmd.StdinPipe()
	do(t, err)
	return &typed{launch(t, cmd), in}
}

func (p *typed) line(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, text+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// ask makes a request, and waits for the response to it.
func (p *typed) ask(target string) {
	p.t.Helper()
	p.line(strings.TrimSuffix(Request("GET", target, matrixName, ""), "\n"))
	p.WaitOutput(SumText("GET", target, "")+"\n", 1)
}

// mentions checks that the program has written all that.
func (p *typed) mentions(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if !strings.Contains(p.Output(), text) {
			p.t.Errorf("%q is not in the output", text)
		}
	}
}

// opensslClient connects to the main listener.
func (m *matrix) opensslClient(t *testing.T, args ...string) *typed {
	t.Helper()
	return startTyped(t, "openssl", append([]string{"s_client", "-connect", m.addr, "-servername", matrixName,
		"-CAfile", m.ca.File, "-verify_return_error"}, args...)...)
}

// Suites, groups and signatures that Go's client cannot choose, with key updates from both sides.
func TestTLSOfOpenSSL(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		matrixed(t, mode, func(m *matrix) {
			for i, suite := range []string{
				"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
			} {
				if mode.Relayed && i == 2 {
					continue // FIPS 140 does not allow it: see agree
				}
				for _, group := range []string{"P-256", "P-384", "P-521"} {
					for sigalgs, kind := range map[string]string{
						"rsa_pss_rsae_sha256": "RSA-PSS", "ecdsa_secp256r1_sha256": "ECDSA",
					} {
						t.Run(suite+" "+group+" "+kind, func(t *testing.T) {
							p := m.opensslClient(t, "-tls1_3", "-ciphersuites", suite, "-groups", group,
								"-sigalgs", sigalgs)
							p.ask("/openssl")
							p.mentions("Cipher is "+suite, "Peer signature type: "+kind)
							p.line("Q")
							if code := p.Wait(); code != 0 {
								t.Errorf("exit code %d", code)
							}
						})
					}
				}
			}
			t.Run("key updates", m.keyUpdates)
			for _, version := range []string{"-tls1_2", "-tls1_3"} {
				t.Run("resumption "+version, func(t *testing.T) { m.opensslResumes(t, version) })
			}
		})
	})
}

// keyUpdates has keys changed between requests: "k" changes those of the client, "K" asks for the server's too.
func (m *matrix) keyUpdates(t *testing.T) {
	p := m.opensslClient(t, "-tls1_3")
	for i, key := range []string{"k", "K", "K", "k", "k", "K"} {
		p.ask(fmt.Sprint("/before/", i))
		p.line(key)
		p.WaitOutput("KEYUPDATE", i+1)
	}
	p.ask("/last")
	p.line("Q")
	if code := p.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func (m *matrix) opensslResumes(t *testing.T, version string) {
	file := filepath.Join(t.TempDir(), "session")
	for i, args := range [][]string{{"-sess_out", file}, {"-sess_in", file}} {
		p := m.opensslClient(t, append(args, version)...)
		p.ask("/session")
		p.mentions([]string{"New, TLSv1.", "Reused, TLSv1."}[i])
		p.line("Q")
		if code := p.Wait(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}

// gnutls-cli with each version: a new session, and one that is resumed; a change of keys where there is one.
func TestTLSOfGnuTLS(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		matrixed(t, mode, func(m *matrix) {
			host, port, err := net.SplitHostPort(m.addr)
			do(t, err)
			for _, version := range []string{"TLS1.2", "TLS1.3"} {
				t.Run(version, func(t *testing.T) {
					p := startTyped(t, "gnutls-cli", "--x509cafile", m.ca.File, "--port", port,
						"--sni-hostname", matrixName, "--verify-hostname", matrixName, "--inline-commands",
						"--resume", "--waitresumption",
						"--priority", "NORMAL:-VERS-ALL:+VERS-"+version, host)
					p.WaitOutput("*** This is a resumed session", 1)
					p.ask("/one")
					if version == "TLS1.3" {
						p.line("^rekey^")
					}
					p.ask("/two")
					p.in.Close()
					if code := p.Wait(); code != 0 {
						t.Errorf("exit code %d", code)
					}
				})
			}
		})
	})
}

// curl with a client certificate, with narrow choices, and with several requests on one connection.
func TestTLSOfCurl(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		matrixed(t, mode, func(m *matrix) {
			_, port, err := net.SplitHostPort(m.addr)
			do(t, err)
			for name, args := range map[string][]string{
				"as it is": nil,
				"1.2":      {"--tls-max", "1.2"},
				"1.2 RSA":  {"--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES256-GCM-SHA384"},
				"1.3":      {"--tlsv1.3", "--tls13-ciphers", "TLS_AES_256_GCM_SHA384", "--curves", "P-384"},
			} {
				for _, host := range []string{matrixName, "verify.test"} {
					t.Run(name+" "+host, func(t *testing.T) {
						url := fmt.Sprintf("https://%s:%s/curl", host, port)
						all := append([]string{"--cacert", m.ca.File, "--resolve", host + ":" + port + ":127.0.0.1",
							"--cert", m.client.Cert, "--key", m.client.Key, url, url}, args...)
						run := curl(t, nil, all...)
						sum := SumText("GET", "/curl", "") + "\n"
						if run.stdout != sum+sum || !strings.HasSuffix(run.info, "200 1.1 1\n200 1.1 0\n") {
							t.Errorf("%q %q", run.stdout, run.info)
						}
					})
				}
			}
		})
	})
}

// Two load generators, without one error.
func TestTLSOfLoadGenerators(t *testing.T) {
	up := hello(t)
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1")
		p := mode.Start(t, Config(up.URL())+SecureListener("s", addr, ca.Issue([]string{"127.0.0.1"})))
		n := startWrk(t, "https://"+addr+"/", 64, time.Second).check()
		t.Logf("wrk: %d requests", n)
		generator := exec.Command(Tool(t, "h2load"), "--h1", "-n", "2000", "-c", "50", "https://"+addr+"/")
		out, err := generator.CombinedOutput()
		const all = "2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout"
		if err != nil || !strings.Contains(string(out), all) {
			t.Errorf("h2load: %v\n%s", err, out)
		}
		p.NoWorkers()
		p.Stop()
		if strings.Contains(p.Output(), " errors (") {
			t.Errorf("the proxy counted errors:\n%s", p.Output())
		}
	})
}
