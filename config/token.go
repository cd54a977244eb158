package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of a token: nobody guesses sixteen random characters, and a header field holds a thousand.
const (
	minToken = 16
	maxToken = 1024
)

// Token is the token in the file that admin.token_file names, or "" when it names none. Unlike a fault of the text,
// one of the file depends on the machine, so it is found here, and not by Load.
func (c *Config) Token() (string, Faults) {
	if c.Admin.TokenFile == "" {
		return "", nil
	}
	token, err := ReadToken(c.Admin.TokenFile)
	if err == nil {
		return token, nil
	}
	var bad *BadToken
	if !errors.As(err, &bad) {
		bad = &BadToken{Found: err.Error(), Expected: "a file that can be read"}
	}
	return "", Faults{c.Fault("admin.token_file", quote(c.Admin.TokenFile)+", "+bad.Found, bad.Expected, bad.Hint)}
}

// BadToken says why the content or the mode of a file makes it no token.
type BadToken struct{ Found, Expected, Hint string }

func (b *BadToken) Error() string { return b.Found + ", expected " + b.Expected + "; " + b.Hint }

// ReadToken reads a file that has a token in it and nothing else but blanks around it. Everybody on the machine being
// able to read the file is an error, which is a *BadToken, as are all that concern what is in it.
func ReadToken(path string) (string, error) {
	// Without waiting for the other end, if it is a pipe.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", tokenError(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", tokenError(err)
	case !info.Mode().IsRegular():
		return "", &BadToken{"which is no file", "a file with a token in it", makeToken}
	case info.Mode().Perm()&0o006 != 0:
		return "", &BadToken{fmt.Sprintf("which everybody may read or change (mode %04o)", info.Mode().Perm()),
			"a file for its owner or group alone", "chmod 600 it, and put a new token into it"}
	}
	text, err := io.ReadAll(io.LimitReader(f, 2*maxToken))
	if err != nil {
		return "", tokenError(err)
	}
	return parseToken(strings.TrimSpace(string(text)))
}

const makeToken = "openssl rand -hex 32 makes a good one"

// parseToken checks that s can be sent in a header field (RFC 6750, section 2.1) and cannot be guessed. Nothing of it
// is repeated: errors are logged.
func parseToken(s string) (string, error) {
	size := fmt.Sprintf("%d to %d characters", minToken, maxToken)
	switch {
	case s == "":
		return "", &BadToken{"which is empty", "a file with a token in it", makeToken}
	case len(s) < minToken:
		return "", &BadToken{fmt.Sprintf("whose token has %d characters", len(s)), size, makeToken}
	case len(s) > maxToken:
		return "", &BadToken{"whose token is too long", size, makeToken}
	case strings.Trim(strings.TrimRight(s, "="), tokenBytes) != "":
		return "", &BadToken{"whose token has characters that a header field cannot hold, or several lines",
			"letters, digits and any of - . _ ~ + / on one line", makeToken}
	}
	return s, nil
}

const tokenBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"

// tokenError leaves out the path, which who asks knows.
func tokenError(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return &BadToken{"which does not exist", "a file with a token in it", makeToken}
	}
	return &BadToken{"which cannot be read: " + err.Error(), "a file that the process may read",
		"it has to belong to the user or the group of the process"}
}
