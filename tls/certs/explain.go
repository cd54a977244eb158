package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"unicode/utf8"
)

// lacksCertificate says what a file without a certificate in it is instead.
func (f *file) lacksCertificate() *Fault {
	if len(f.keys) > 0 {
		return faultf(f.name, "give the certificate's file here and this one as the key; were the two exchanged?",
			"holds a private key and no certificate")
	}
	for _, label := range f.others {
		switch label {
		case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
			return faultf(f.name, "have a certificate authority sign it, and name the file that comes back",
				"holds a certificate signing request, which is no certificate yet")
		case "PKCS7", "CMS":
			return faultf(f.name, "run openssl pkcs7 -print_certs -in FILE -out NEW.pem", "holds a PKCS#7 envelope")
		case "TRUSTED CERTIFICATE":
			return faultf(f.name, "run openssl x509 -in FILE -out NEW.pem",
				"holds a certificate in OpenSSL's own trusted format")
		}
	}
	return f.strange("a certificate")
}

// lacksKey says what a file without a private key in it is instead.
func (f *file) lacksKey() *Fault {
	if len(f.certificates) > 0 {
		fault := faultf(f.name, "give the private key's file here and this one as the certificate; were the two "+
			"exchanged?", "holds a certificate and no private key")
		fault.keyless = true
		return fault
	}
	for _, label := range f.others {
		if label == "PUBLIC KEY" || label == "RSA PUBLIC KEY" {
			return faultf(f.name, "give the file of the private key that belongs to it", "holds a public key only")
		}
	}
	return f.strange("a private key")
}

// strange says what a file is that has nothing of what is wanted in PEM.
func (f *file) strange(wanted string) *Fault {
	if len(f.others) > 0 {
		return faultf(f.name, "name the file that holds "+wanted, "holds %s and not %s", f.others[0], wanted)
	}
	switch data := f.data; {
	case isDER(data) && isCertificate(data):
		return faultf(f.name, "run openssl x509 -inform DER -in FILE -out NEW.pem", "is a certificate in DER, not PEM")
	case isDER(data) && isKey(data):
		return faultf(f.name, "run openssl pkey -inform DER -in FILE -out NEW.key", "is a private key in DER, not PEM")
	case isDER(data) && isRequest(data):
		return faultf(f.name, "have a certificate authority sign it, and name the file that comes back",
			"is a certificate signing request in DER, which is no certificate yet")
	case isDER(data) && isPKCS12(data):
		return faultf(f.name, "run openssl pkcs12 -nodes -in FILE -out NEW.pem, and name that file as both",
			"is a PKCS#12 archive")
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}) || bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return faultf(f.name, "save it as ASCII or UTF-8", "is text in UTF-16")
	case bytes.Contains(data, begin):
		return faultf(f.name, "let the line -----BEGIN begin at its first column", "has a PEM block that is indented")
	case !utf8.Valid(data):
		return faultf(f.name, "name the PEM file that holds "+wanted, "is binary, and nothing that is known here")
	}
	return faultf(f.name, "name the PEM file that holds "+wanted,
		"holds no PEM block: no line of it begins with -----BEGIN")
}

// isDER reports whether data can be an ASN.1 sequence.
func isDER(data []byte) bool { return len(data) > 2 && data[0] == 0x30 }

func isCertificate(data []byte) bool {
	_, err := x509.ParseCertificate(data)
	return err == nil
}

func isRequest(data []byte) bool {
	_, err := x509.ParseCertificateRequest(data)
	return err == nil
}

func isKey(data []byte) bool {
	if _, err := x509.ParsePKCS8PrivateKey(data); err == nil {
		return true
	}
	if _, err := x509.ParsePKCS1PrivateKey(data); err == nil {
		return true
	}
	_, err := x509.ParseECPrivateKey(data)
	return err == nil
}

// isPKCS12 reports whether data begins as a PFX does: version 3 and content (RFC 7292, section 4).
func isPKCS12(data []byte) bool {
	var archive struct {
		Version int
		Content asn1.RawValue
		MAC     asn1.RawValue `asn1:"optional"`
	}
	_, err := asn1.Unmarshal(data, &archive)
	return err == nil && archive.Version == 3 && archive.Content.Class == asn1.ClassUniversal
}
