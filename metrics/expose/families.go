package expose

import (
	"slices"
	"strconv"
	"time"

	"github.com/uringproxy/uringproxy/metrics"
)

// families are all there are, in the order in which they are written.
var families = slices.Concat(
	processFamilies, configFamilies, clientFamilies, upstreamFamilies, timingFamilies, tlsFamilies, passageFamilies,
	shardFamilies,
	seriesFamilies("listener", metrics.ListenerSeries), listenerFamilies,
	seriesFamilies("service", metrics.ServiceSeries), serviceFamilies,
	seriesFamilies("route", metrics.RouteSeries), upgradeFamilies, streamFamilies, sessionFamilies,
)

// one is a gauge of one sample, total a counter of one.
func one(name, help string, of func(*Input) float64) family {
	return family{name, gauge, help, "", func(e *encoder, in *Input) { e.number(of(in)) }}
}

func total(name, help string, of func(*Input) float64) family {
	return family{name, counter, help, "", func(e *encoder, in *Input) { e.number(of(in)) }}
}

// truth is a condition as a number.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// processFamilies are about the process and its runtime.
var processFamilies = []family{
	{"build_info", gauge, "What runs; always 1.", "version, go, engine, tier", func(e *encoder, in *Input) {
		b := &in.Build
		e.count(1, "version", b.Version, "go", b.Go, "engine", b.Engine, "tier", b.Tier)
	}},
	one("process_start_time_seconds", "When the process started, in seconds since 1970.",
		func(in *Input) float64 { return seconds(in.Started) }),
	{"process_cpu_seconds", counter, "CPU time of the process. Divided by requests it is what one costs.", "mode",
		func(e *encoder, in *Input) {
			e.number(in.Process.UserTime.Seconds(), "mode", "user")
			e.number(in.Process.SystemTime.Seconds(), "mode", "system")
		}},
	one("process_resident_memory_bytes", "Memory of the process that is in RAM.",
		func(in *Input) float64 { return float64(in.Process.ResidentBytes) }),
	one("process_open_descriptors", "File descriptors that are open.",
		func(in *Input) float64 { return float64(in.Process.Descriptors) }),
	one("process_max_descriptors", "File descriptors that can be open.",
		func(in *Input) float64 { return float64(in.Process.DescriptorsAtMost) }),
	one("go_goroutines", "Goroutines of the control plane, and one for each shard.",
		func(in *Input) float64 { return float64(in.Runtime.Goroutines) }),
	one("go_heap_bytes", "Memory of objects on the Go heap.",
		func(in *Input) float64 { return float64(in.Runtime.HeapBytes) }),
	total("go_allocated_bytes", "Memory allocated on the Go heap.",
		func(in *Input) float64 { return float64(in.Runtime.AllocatedBytes) }),
	total("go_allocated_objects", "Objects allocated on the Go heap: none for requests. Divided by requests it shows "+
		"the allocations per request.", func(in *Input) float64 { return float64(in.Runtime.AllocatedObjects) }),
	total("go_gc_cycles", "Garbage collections.",
		func(in *Input) float64 { return float64(in.Runtime.GCCycles) }),
	total("go_gc_pause_seconds", "Time for which the world was stopped by the garbage collector.",
		func(in *Input) float64 { return in.Runtime.GCPause.Seconds() }),
}

// configFamilies are about the configuration.
var configFamilies = []family{
	one("config_generation", "Generation of the configuration in force; the first one is 1.",
		func(in *Input) float64 { return float64(in.Config.Generation) }),
	one("config_created_timestamp_seconds", "When the configuration in force was made, in seconds since 1970.",
		func(in *Input) float64 { return seconds(in.Config.Created) }),
	one("config_age_seconds", "How old the configuration in force is.",
		func(in *Input) float64 { return max(0, in.Now.Sub(in.Config.Created).Seconds()) }),
	one("config_in_force", "1 when the configuration files are what is in force, 0 when they were refused.",
		func(in *Input) float64 { return truth(in.Config.InForce) }),
	one("config_listeners", "Listeners of the configuration in force.",
		func(in *Input) float64 { return float64(in.Config.Listeners) }),
	one("config_routes", "Routes of the configuration in force.",
		func(in *Input) float64 { return float64(in.Config.Routes) }),
	one("config_tcp_routes", "Tcp routes of the configuration in force.",
		func(in *Input) float64 { return float64(in.Config.TCPRoutes) }),
	one("config_udp_routes", "Udp routes of the configuration in force.",
		func(in *Input) float64 { return float64(in.Config.UDPRoutes) }),
	one("config_services", "Services of the configuration in force.",
		func(in *Input) float64 { return float64(in.Config.Services) }),
	{"config_reloads", counter, "Attempts to change the configuration.", "result", func(e *encoder, in *Input) {
		e.count(in.Config.Attempts-in.Config.Failed, "result", "ok")
		e.count(in.Config.Failed, "result", "failed")
	}},
	one("config_last_reload_timestamp_seconds", "When the last attempt to change the configuration began, in seconds "+
		"since 1970; 0: there was none.", func(in *Input) float64 { return timestamp(in.Config.LastAttempt) }),
	one("config_last_swap_seconds", "How long it took until the last shard had adopted the configuration in force; 0: "+
		"it is the first.", func(in *Input) float64 {
		longest := int64(0)
		for i := range in.Shards {
			longest = max(longest, in.Shards[i].Metrics.Gauge(metrics.LastSwap))
		}
		return float64(longest) / nano
	}),
}

// timestamp is seconds, and 0 for the zero time.
func timestamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return seconds(t)
}

// shardFamilies are about the loops and their backends.
var shardFamilies = []family{
	backend("engine_syscalls", "System calls that the shard's I/O backend made. Divided by requests it is how many "+
		"one takes.", func(s *Shard) uint64 { return s.Syscalls }),
	backend("engine_turns", "Turns of the shard's loop: waits for events, and the work that they made.",
		func(s *Shard) uint64 { return s.Turns }),
	backend("engine_events", "Events that the I/O backend reported. Divided by turns it is how many one has.",
		func(s *Shard) uint64 { return s.Events }),
	backend("engine_receives_without_buffer", "Receives that found no buffer and were put off: the memory is spent.",
		func(s *Shard) uint64 { return s.NoBuffers }),
	backend("engine_stale_completions", "Completions for connections that were being closed.",
		func(s *Shard) uint64 { return s.Stale }),
	{"loop_turn_events", histogram, "Events in a turn of a shard's loop; one turn in " +
		strconv.Itoa(metrics.TurnSample) + " is counted.", "", func(e *encoder, in *Input) {
		e.distribution(in.total.Timing(metrics.TurnEvents), eventBounds, 1)
	}},
	{"loop_turn_events_quantiles", summary, "Quantiles since the start, 1 being the maximum, of the events in a turn " +
		"of a shard's loop.", "quantile", func(e *encoder, in *Input) {
		e.quantiles(in.total.Timing(metrics.TurnEvents), 1)
	}},
	{"shard_turn_quantiles_seconds", summary, "Quantiles since the start, 1 being the maximum, of handling the " +
		"events and deadlines of one turn of each shard's loop; see loop_turn.", "shard, quantile",
		func(e *encoder, in *Input) {
			for i := range in.Shards {
				e.quantiles(in.Shards[i].Metrics.Timing(metrics.TurnTime), nano, "shard", strconv.Itoa(i))
			}
		}},
	levels("shard_config_generation", metrics.Generation,
		"Generation of the configuration that the shard has adopted."),
	levels("shard_oldest_config_generation", metrics.OldestGeneration,
		"Generation of the oldest configuration that a request or a connection of the shard still uses."),
	measured("buffers_in_use", "Buffers that hold something, or lie ready for the kernel to receive into.", "class",
		labelled[metrics.Gauge]{"small", metrics.SmallBuffersUsed},
		labelled[metrics.Gauge]{"bulk", metrics.BulkBuffersUsed},
		labelled[metrics.Gauge]{"record", metrics.RecordBuffersUsed},
		labelled[metrics.Gauge]{"head", metrics.HeadBuffersUsed}),
	measured("buffers_reserved", "Buffers that there are.", "class",
		labelled[metrics.Gauge]{"small", metrics.SmallBuffers},
		labelled[metrics.Gauge]{"bulk", metrics.BulkBuffers},
		labelled[metrics.Gauge]{"record", metrics.RecordBuffers},
		labelled[metrics.Gauge]{"head", metrics.HeadBuffers}),
}

// backend is a counter that each shard's I/O backend has.
func backend(name, help string, of func(*Shard) uint64) family {
	return family{name, counter, help, "shard", func(e *encoder, in *Input) {
		for i := range in.Shards {
			e.count(of(&in.Shards[i]), "shard", strconv.Itoa(i))
		}
	}}
}
