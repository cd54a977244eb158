package control

import (
	"log/slog"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
)

// boot is what the configuration said at the start of settings that a running process cannot change. It is a copy: the
// caller may change the one it is given, to what the command line says, and the rest of the first configuration, its
// files' texts included, is not to stay for as long as the process lives.
type boot struct {
	engine    config.Engine
	shaking   config.Handshakes
	admin     config.Admin
	limits    plan.Limits
	logLevel  slog.Level
	accessLog plan.AccessLog
}

func bootOf(cfg *config.Config) boot {
	return boot{cfg.Engine, cfg.Handshakes, cfg.Admin, cfg.Limits, cfg.LogLevel, cfg.AccessLog}
}

// pending names the settings that differ from those of the start.
func (b *boot) pending(now *config.Config, levelFollows bool) []string {
	var keys []string
	differ := func(key string, differs bool) {
		if differs {
			keys = append(keys, key)
		}
	}
	differ("engine.backend", b.engine.Backend != now.Engine.Backend)
	differ("engine.tier", b.engine.Tier != now.Engine.Tier)
	differ("engine.shards", b.engine.Shards != now.Engine.Shards)
	differ("engine.pin", b.engine.Pin != now.Engine.Pin)
	is, was := now.Admin, b.admin
	differ("admin.address", was.Addr != is.Addr || was.Unix != is.Unix || was.Off != is.Off)
	differ("admin.token_file", was.TokenFile != is.TokenFile)
	differ("admin.pprof", was.Pprof != is.Pprof)
	differ("limits.max_connections", b.limits.Connections != now.Limits.Connections)
	differ("limits.shard_buffer_bytes", b.limits.BuffersPerShard != now.Limits.BuffersPerShard)
	differ("limits.udp_sessions", b.limits.Sessions != now.Limits.Sessions)
	differ("limits.tls_handshakes", b.shaking.InFlight != now.Handshakes.InFlight)
	differ("limits.tls_handshakes_waiting", b.shaking.Waiting != now.Handshakes.Waiting)
	differ("log.level", b.logLevel != now.LogLevel && !levelFollows)
	differ("log.access.path", b.accessLog.Path != now.AccessLog.Path)
	differ("log.access.format", b.accessLog.Format != now.AccessLog.Format)
	return keys
}
