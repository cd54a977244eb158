//go:build giouring

package uring

import (
	"reflect"
	"testing"

	"github.com/pawelgaczynski/giouring"
)

// TestConstants compares our constants with giouring's, where it has them.
func TestConstants(t *testing.T) {
	for _, c := range []struct {
		name         string
		ours, theirs uint64
	}{
		{"OP_POLL_ADD", opPollAdd, uint64(giouring.OpPollAdd)},
		{"OP_SENDMSG", opSendmsg, uint64(giouring.OpSendmsg)},
		{"OP_ASYNC_CANCEL", opAsyncCancel, uint64(giouring.OpAsyncCancel)},
		{"OP_CONNECT", opConnect, uint64(giouring.OpConnect)},
		{"OP_SEND", opSend, uint64(giouring.OpSend)},
		{"OP_RECV", opRecv, uint64(giouring.OpRecv)},
		{"OP_SEND_ZC", opSendZC, uint64(giouring.OpSendZC)},
		{"SETUP_CQSIZE", setupCQSize, uint64(giouring.SetupCQSize)},
		{"SETUP_CLAMP", setupClamp, uint64(giouring.SetupClamp)},
		{"SETUP_SUBMIT_ALL", setupSubmitAll, uint64(giouring.SetupSubmitAll)},
		{"SETUP_COOP_TASKRUN", setupCoopTaskrun, uint64(giouring.SetupCoopTaskrun)},
		{"SETUP_SINGLE_ISSUER", setupSingleIssuer, uint64(giouring.SetupSingleIssuer)},
		{"SETUP_DEFER_TASKRUN", setupDeferTaskrun, uint64(giouring.SetupDeferTaskrun)},
		{"FEAT_SINGLE_MMAP", featSingleMmap, uint64(giouring.FeatSingleMMap)},
		{"FEAT_NODROP", featNoDrop, uint64(giouring.FeatNoDrop)},
		{"FEAT_SUBMIT_STABLE", featSubmitStable, uint64(giouring.FeatSubmitStable)},
		{"FEAT_FAST_POLL", featFastPoll, uint64(giouring.FeatFastPoll)},
		{"FEAT_EXT_ARG", featExtArg, uint64(giouring.FeatExtArg)},
		{"ENTER_GETEVENTS", enterGetEvents, uint64(giouring.EnterGetEvents)},
		{"ENTER_EXT_ARG", enterExtArg, uint64(giouring.EnterExtArg)},
		{"ENTER_REGISTERED_RING", enterRegisteredRing, uint64(giouring.EnterRegisteredRing)},
		{"REGISTER_PROBE", registerProbe, uint64(giouring.RegisterProbe)},
		{"REGISTER_RING_FDS", registerRingFDs, uint64(giouring.RegisterRingFDs)},
		{"UNREGISTER_RING_FDS", unregisterRingFDs, uint64(giouring.UnregisterRingFDs)},
		{"REGISTER_PBUF_RING", registerPbufRing, uint64(giouring.RegisterPbufRing)},
		{"UNREGISTER_PBUF_RING", unregisterPbufRing, uint64(giouring.UnregisterPbufRing)},
		{"IOSQE_BUFFER_SELECT", sqeBufferSelect, uint64(giouring.SqeBufferSelect)},
		{"RECV_MULTISHOT", recvMultishot, uint64(giouring.RecvMultishot)},
		{"POLL_ADD_MULTI", pollAddMulti, uint64(giouring.PollAddMulti)},
		{"ASYNC_CANCEL_ALL", cancelAll, uint64(giouring.AsyncCancelAll)},
		{"ASYNC_CANCEL_ANY", cancelAny, uint64(giouring.AsyncCancelAny)},
		{"CQE_F_BUFFER", cqeBuffer, uint64(giouring.CQEFBuffer)},
		{"CQE_F_MORE", cqeMore, uint64(giouring.CQEFMore)},
		{"CQE_F_SOCK_NONEMPTY", cqeSockNonEmpty, uint64(giouring.CQEFSockNonempty)},
		{"CQE_BUFFER_SHIFT", cqeBufferShift, uint64(giouring.CQEBufferShift)},
	} {
		if c.ours != c.theirs {
			t.Errorf("%s is %#x, giouring has %#x", c.name, c.ours, c.theirs)
		}
	}
}

// TestLayouts compares our structures with giouring's: size, and name by name offset and size of each field.
func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		ours, theirs any
		fields       [][2]string // ours, theirs
	}{
		{sqe{}, giouring.SubmissionQueueEntry{}, [][2]string{
			{"opcode", "OpCode"}, {"flags", "Flags"}, {"ioprio", "IoPrio"}, {"fd", "Fd"}, {"off", "Off"},
			{"addr", "Addr"}, {"len", "Len"}, {"opFlags", "OpcodeFlags"}, {"userData", "UserData"},
			{"bufGroup", "BufIG"},
			{"personality", "Personality"}, {"fileIndex", "SpliceFdIn"}, {"addr3", "Addr3"}, {"pad", "_pad2"}}},
		{cqe{}, giouring.CompletionQueueEvent{}, [][2]string{
			{"userData", "UserData"}, {"res", "Res"}, {"flags", "Flags"}}},
		{sqOffsets{}, giouring.SQRingOffsets{}, same(
			"head", "tail", "ringMask", "ringEntries", "flags", "dropped", "array", "resv1", "userAddr")},
		{cqOffsets{}, giouring.CQRingOffsets{}, same(
			"head", "tail", "ringMask", "ringEntries", "overflow", "cqes", "flags", "resv1", "userAddr")},
		{params{}, giouring.Params{}, append(same("sqEntries", "cqEntries", "flags", "sqThreadCPU", "sqThreadIdle",
			"features", "resv", "sqOff", "cqOff"), [2]string{"wqFD", "wqFd"})},
		{getEventsArg{}, giouring.GetEventsArg{}, [][2]string{
			{"sigMask", "sigMask"}, {"sigMaskSize", "sigMaskSz"}, {"minWaitUsec", "pad"}, {"ts", "ts"}}},
		{bufEntry{}, giouring.BufAndRing{}, [][2]string{
			{"addr", "Addr"}, {"len", "Len"}, {"bid", "Bid"}, {"tail", "Tail"}}},
		{bufReg{}, giouring.BufReg{}, [][2]string{
			{"ringAddr", "RingAddr"}, {"ringEntries", "RingEntries"}, {"bgid", "Bgid"}, {"flags", "Pad"},
			{"resv", "Resv"}}},
		{rsrcUpdate{}, giouring.RsrcUpdate{}, [][2]string{
			{"offset", "Offset"}, {"resv", "Resv"}, {"data", "Data"}}},
		{probeOp{}, giouring.ProbeOp{}, [][2]string{
			{"op", "Op"}, {"resv", "Res"}, {"flags", "Flags"}, {"resv2", "Res2"}}},
		{probeArg{}, giouring.Probe{}, [][2]string{
			{"lastOp", "LastOp"}, {"opsLen", "OpsLen"}, {"resv", "Res"}, {"resv2", "Res2"}, {"ops", "Ops"}}},
	} {
		compare(t, reflect.TypeOf(c.ours), reflect.TypeOf(c.theirs), c.fields)
	}
}

func same(names ...string) [][2]string {
	pairs := make([][2]string, len(names))
	for i, n := range names {
		pairs[i] = [2]string{n, n}
	}
	return pairs
}

func compare(t *testing.T, ours, theirs reflect.Type, fields [][2]string) {
	t.Helper()
	if ours.Size() != theirs.Size() {
		t.Errorf("%v has %d bytes, %v has %d", ours, ours.Size(), theirs, theirs.Size())
	}
	if ours.NumField() != len(fields) {
		t.Errorf("%v has %d fields, %d are compared", ours, ours.NumField(), len(fields))
	}
	for _, f := range fields {
		a, okA := ours.FieldByName(f[0])
		b, okB := theirs.FieldByName(f[1])
		if !okA || !okB || a.Offset != b.Offset || a.Type.Size() != b.Type.Size() {
			t.Errorf("%v.%s at %d with %d bytes, %v.%s at %d with %d",
				ours, f[0], a.Offset, sizeOf(a), theirs, f[1], b.Offset, sizeOf(b))
		}
	}
}

func sizeOf(f reflect.StructField) uintptr {
	if f.Type == nil {
		return 0
	}
	return f.Type.Size()
}
