package main

import (
	"fmt"
	"strconv"
)

// loadedHost is the host of the route that carries the load.
const loadedHost = "loaded.example.com"

// services are the two upstreams. All unrelated routes lead to the first.
var services = []string{"a", "b"}

// site is what a proxy is configured to do, in no proxy's language: as many unrelated routes as asked for, each for a
// host of its own, and the loaded one.
type site struct {
	dir     string // for files
	port    int    // where the proxy listens
	ports   [2]int // of the services
	first   int    // number of the first unrelated route
	count   int    // of unrelated routes
	service int    // that the loaded route leads to
}

// change removes the oldest unrelated route and adds a new one; switching, it gives the loaded route the other service.
func (s *site) change(switching bool) {
	s.first++
	if switching {
		s.service = 1 - s.service
	}
}

// newest is the host of the route that the last change added.
func (s *site) newest() string { return string(appendHost(nil, s.first+s.count-1)) }

func appendHost(b []byte, n int) []byte {
	b = append(b, 'h')
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, ".example.com"...)
}

// each calls fn with the number of each unrelated route.
func (s *site) each(fn func(n int)) {
	for n := s.first; n < s.first+s.count; n++ {
		fn(n)
	}
}

// uringproxy is the site as uringproxy's TOML.
func (s *site) uringproxy() []byte {
	b := fmt.Appendf(nil, "[listeners.web]\naddress = \"127.0.0.1:%d\"\n", s.port)
	for i, name := range services {
		b = fmt.Appendf(b, "\n[services.%s]\nendpoints = [\"http://127.0.0.1:%d\"]\n", name, s.ports[i])
	}
	b = fmt.Appendf(b, "\n[routes.loaded]\nhost = %q\nservice = %q\n", loadedHost, services[s.service])
	s.each(func(n int) {
		b = append(b, "\n[routes.r"...)
		b = strconv.AppendInt(b, int64(n), 10)
		b = append(b, "]\nhost = \""...)
		b = appendHost(b, n)
		b = append(b, "\"\nservice = \"a\"\n"...)
	})
	return b
}

// nginxHeader is what nginx is told once: keep-alive without end, the forwarding fields that uringproxy adds by
// default, responses passed on as they come, and room for the names.
const nginxHeader = `worker_processes 1;
daemon off;
pid %[1]s/nginx.pid;
error_log stderr crit;
events { worker_connections 16384; }
http {
    access_log off;
    client_body_temp_path %[1]s;
    proxy_temp_path %[1]s;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    server_names_hash_max_size %[3]d;
    server_names_hash_bucket_size 128;
    proxy_http_version 1.1;
    proxy_buffering off;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Forwarded-Port $server_port;
    proxy_set_header X-Request-Id $request_id;
    proxy_set_header Via "1.1 nginx";
    server {
        listen 127.0.0.1:%[2]d backlog=4096 default_server;
        location / { root %[1]s/nothing; }
    }
`

// namesPerServer is how many unrelated hosts share a server block of nginx, to which a block costs more than a name.
const namesPerServer = 100

// nginx is the site as nginx.conf.
func (s *site) nginx() []byte {
	b := fmt.Appendf(nil, nginxHeader, s.dir, s.port, 4*max(s.count, 1024))
	for i, name := range services {
		b = fmt.Appendf(b, "    upstream %s {\n        server 127.0.0.1:%d;\n        keepalive 1024;\n"+
			"        keepalive_requests 1000000000;\n    }\n", name, s.ports[i])
	}
	block := func(service string, names func()) {
		b = fmt.Appendf(b, "    server {\n        listen 127.0.0.1:%d;\n        server_name", s.port)
		names()
		b = fmt.Appendf(b, ";\n        location / { proxy_pass http://%s; }\n    }\n", service)
	}
	block(services[s.service], func() { b = append(b, " "+loadedHost...) })
	for n := 0; n < s.count; n += namesPerServer {
		block(services[0], func() {
			for i := n; i < min(n+namesPerServer, s.count); i++ {
				b = append(b, ' ')
				b = appendHost(b, s.first+i)
			}
		})
	}
	return append(b, "}\n"...)
}

// haproxyFixed is what HAProxy is told once: that old workers live as long as their streams, the forwarding fields, and
// to look the host up in a map, which is how it does many hosts.
const haproxyFixed = `global
    nbthread 1
    maxconn 9000
    mworker-max-reloads 1000000

defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    http-reuse always

frontend web
    bind 127.0.0.1:%[2]d
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %%[req.hdr(host)]
    http-request set-header X-Forwarded-Port %%[dst_port]
    http-request set-header Via "1.1 haproxy"
    unique-id-format %%[uuid()]
    unique-id-header X-Request-Id
    use_backend %%[req.hdr(host),lower,map(%[1]s/hosts.map,none)]

backend none
    http-request return status 404

backend a
    server one 127.0.0.1:%[3]d pool-max-conn 1024

backend b
    server one 127.0.0.1:%[4]d pool-max-conn 1024
`

// haproxy is what never changes of the site for HAProxy.
func (s *site) haproxy() []byte {
	return fmt.Appendf(nil, haproxyFixed, s.dir, s.port, s.ports[0], s.ports[1])
}

// haproxyMap is the map from hosts to services.
func (s *site) haproxyMap() []byte {
	b := fmt.Appendf(nil, "%s %s\n", loadedHost, services[s.service])
	s.each(func(n int) { b = append(appendHost(b, n), " a\n"...) })
	return b
}

// traefik is the site as YAML for Traefik's file provider.
func (s *site) traefik() []byte {
	b := []byte("http:\n  services:\n")
	for i, name := range services {
		b = fmt.Appendf(b, "    %s: {loadBalancer: {servers: [{url: \"http://127.0.0.1:%d\"}]}}\n", name, s.ports[i])
	}
	b = fmt.Appendf(b, "  routers:\n    loaded: {rule: \"Host(`%s`)\", service: %s}\n", loadedHost, services[s.service])
	s.each(func(n int) {
		b = append(b, "    r"...)
		b = strconv.AppendInt(b, int64(n), 10)
		b = append(b, ": {rule: \"Host(`"...)
		b = appendHost(b, n)
		b = append(b, "`)\", service: a}\n"...)
	})
	return b
}
