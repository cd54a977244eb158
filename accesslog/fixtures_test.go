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

// streamed is a connection that a tcp route has passed on, switched one that a request has switched to another
// protocol, and datagrams a UDP session.
func streamed() Record {
	return Record{
		Time:     time.Date(2026, 3, 9, 14, 5, 8, 120_000_000, time.UTC).UnixNano(),
		Duration: 61_250_000_000, Upstream: 61_249_600_000, FirstByte: -1, Overhead: -1,
		BytesIn: 2048, BytesOut: 1_048_576, Client: netip.MustParseAddrPort("203.0.113.7:51240"),
		Scheme: "tls", Host: []byte("db.example.com"), Protocol: []byte("tls"),
		Route: "database", Service: "db", Endpoint: "tcp://10.0.0.3:5432",
		Reason: metrics.UpstreamStream, Detail: []byte("ECONNRESET"),
	}
}

func switched() Record {
	return Record{
		Time:     time.Date(2026, 3, 9, 14, 5, 9, 0, time.UTC).UnixNano(),
		Duration: 3_600_000_500_000, Upstream: 3_600_000_400_000, FirstByte: -1, Overhead: -1,
		BytesIn: 512, BytesOut: 8192, Client: netip.MustParseAddrPort("203.0.113.7:51250"),
		Scheme: "https", Host: []byte("chat.example.com"), Protocol: []byte("websocket"), Status: 101,
		Route: "chat", Service: "rooms", Endpoint: "http://10.0.0.7:9000", RequestID: []byte("01jb3k6t0c"),
	}
}

func datagrams() Record {
	return Record{
		Time:     time.Date(2026, 3, 9, 14, 5, 10, 0, time.UTC).UnixNano(),
		Duration: 30_001_000_000, Upstream: -1, FirstByte: -1, Overhead: -1,
		BytesIn: 40, BytesOut: 112, DatagramsIn: 1, DatagramsOut: 1,
		Client: netip.MustParseAddrPort("203.0.113.9:40001"), Scheme: "udp", Protocol: []byte("udp"),
		Route: "dns", Service: "resolvers", Endpoint: "udp://10.0.0.53:53",
	}
}
