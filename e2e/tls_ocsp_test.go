package e2e

import (
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// vouching is a certificate with its authority, and what openssl needs to answer for it.
type vouching struct {
	*Authority
	id               *Identity
	index, key, addr string
}

// newVouching makes a certificate whose responder is at an address that nothing listens at yet.
func newVouching(t *testing.T) *vouching {
	t.Helper()
	v := &vouching{Authority: NewAuthority(t, "authority"), addr: FreeAddr(t, "127.0.0.1")}
	v.id = v.Issue([]string{matrixName}, func(c *x509.Certificate) { c.OCSPServer = []string{"http://" + v.addr + "/"} })
	der, err := x509.MarshalPKCS8PrivateKey(v.Authority.key)
	do(t, err)
	v.key = v.write("authority.key", "PRIVATE KEY", der)
	var chain []byte
	for _, file := range []string{v.id.Cert, v.File} {
		text, err := os.ReadFile(file)
		do(t, err)
		chain = append(chain, text...)
	}
	do(t, os.WriteFile(v.id.Cert, chain, 0o600))
	v.index = filepath.Join(v.dir, "index.txt")
	leaf := v.id.TLS.Leaf
	do(t, os.WriteFile(v.index, fmt.Appendf(nil, "V\t%s\t\t%02X\tunknown\t/CN=%s\n",
		leaf.NotAfter.UTC().Format("060102150405Z"), leaf.SerialNumber, matrixName), 0o600))
	return v
}

// answer has openssl answer a question.
func (v *vouching) answer(question []byte) ([]byte, error) {
	in, out := filepath.Join(v.dir, "question.der"), filepath.Join(v.dir, "answer.der")
	if err := os.WriteFile(in, question, 0o600); err != nil {
		return nil, err
	}
	if err := openssl("ocsp", "-index", v.index, "-CA", v.File, "-rsigner", v.File, "-rkey", v.key, "-ndays", "7",
		"-reqin", in, "-respout", out); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// kept is a file with an answer.
func (v *vouching) kept(t *testing.T) string {
	t.Helper()
	in, kept := filepath.Join(v.dir, "asked.der"), filepath.Join(v.dir, "kept.der")
	do(t, openssl("ocsp", "-issuer", v.File, "-cert", v.id.Cert, "-no_nonce", "-reqout", in))
	question, err := os.ReadFile(in)
	do(t, err)
	answer, err := v.answer(question)
	do(t, err)
	do(t, os.WriteFile(kept, answer, 0o600))
	return kept
}

func openssl(args ...string) error {
	if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("openssl %v: %w\n%s", args, err, out)
	}
	return nil
}

// serve answers at the address that the certificate names. (openssl could, but on all of the machine's addresses.)
func (v *vouching) serve(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", v.addr)
	do(t, err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question, err := io.ReadAll(r.Body)
		if err == nil {
			var answer []byte
			answer, err = v.answer(question)
			_, _ = w.Write(answer)
		}
		if err != nil {
			t.Error(err)
		}
	})}
	ended := make(chan error)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		<-ended
	})
}

// stapled asks a listener for the status of its certificate.
func (v *vouching) stapled(t *testing.T, addr string) bool {
	t.Helper()
	c := startTyped(t, "openssl", "s_client", "-connect", addr, "-servername", matrixName, "-CAfile", v.File,
		"-verify_return_error", "-status")
	c.WaitOutput("Verify return code: 0 (ok)", 1)
	if c.in.Close(); !strings.Contains(c.Output(), "OCSP response:") {
		t.Fatalf("the client has not asked for the status:\n%s", c.Output())
	}
	return strings.Contains(c.Output(), "Cert Status: good")
}

// An authority's answer reaches clients that ask for it: from a file, and from its responder.
func TestTLSOCSPStapling(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		v := newVouching(t)
		kept := v.kept(t)
		file, fetch, none := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		v.serve(t)
		listener := func(name, addr, certificate, more string) string {
			return fmt.Sprintf("[listeners.%s]\naddress = %q\n[listeners.%[1]s.tls]\n"+
				"certificates = [{ cert = %[3]q, key = %[4]q%[5]s }]\n%[6]s\n",
				name, addr, v.id.Cert, v.id.Key, certificate, more)
		}
		mode.Start(t, listener("file", file, fmt.Sprintf(", ocsp = %q", kept), "")+
			listener("fetch", fetch, "", `ocsp_stapling = "fetch"`)+listener("none", none, "", "")+
			"[routes.main]\nservice = \"main\"\n[services.main]\nendpoints = [\"http://127.0.0.1:9\"]\n")
		if !v.stapled(t, file) {
			t.Error("the answer in the file is not shown")
		}
		if v.stapled(t, none) {
			t.Error("an answer is shown by a listener that has none")
		}
		for end := time.Now().Add(hang); !v.stapled(t, fetch); { // it is fetched beside everything else
			if time.Now().After(end) {
				t.Fatal("the answer of the responder is not shown")
			}
		}
	})
}
