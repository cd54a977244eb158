package accesslog

import (
	"net/netip"
	"time"

	"github.com/uringproxy/uringproxy/metrics"
)

// served is an exchange that went well, and failed one that did not.
func served() Record {
	return Record{
		Time:     time.Date(2026, 3, 9, 14, 5, 6, 78_900_000, time.UTC).UnixNano(),
		Duration: 12_345_678, Upstream: 12_300_100, FirstByte: 9_876_543, Overhead: 23_456,
		BytesOut: 5120, Client: netip.MustParseAddrPort("203.0.113.7:51234"),
		Method: []byte("GET"), Scheme: "http", Host: []byte("shop.example.com"), Target: []byte("/cart?item=7"),
		Minor: 1, Status: 200, Route: "shop", Service: "carts", Endpoint: "http://10.0.0.5:9000",
		RequestID: []byte("01jb3k6q9w"), UserAgent: []byte("Mozilla/5.0 (X11)"),
		Referer: []byte("https://shop.example.com/"), ClientReused: true, UpstreamReused: true,
	}
}

// secure is one over TLS.
func secure() Record {
	r := served()
	r.Scheme, r.TLSVersion, r.TLSSuite, r.SNI = "https", "1.3", "TLS_AES_128_GCM_SHA256", "shop.example.com"
	r.ClientCert, r.Resumed = []byte("CN=till 7,O=Example"), true
	return r
}

func failed() Record {
	return Record{
		Time:     time.Date(2026, 3, 9, 14, 5, 7, 0, time.UTC).UnixNano(),
		Duration: 1_002_000_000, Upstream: 1_001_950_000, FirstByte: -1, Overhead: 50_000,
		BytesIn: 42, BytesOut: 118, Client: netip.MustParseAddrPort("[2001:db8::1]:40000"),
		Method: []byte("POST"), Scheme: "http", Host: []byte("shop.example.com"), Target: []byte("/orders"),
		Minor: 1, Status: 504, Route: "shop", Service: "orders", Endpoint: "http://10.0.0.6:9000",
		RequestID: []byte("01jb3k6r2m"), UserAgent: []byte("curl/8.5.0"), Retries: 1,
		Reason: metrics.TimeoutConnect, Detail: []byte("ETIMEDOUT"),
	}
}
