// Package handshake shakes hands for the shards: crypto/tls does it, for each of them on one thread that never touches
// a socket, and what comes of it are the keys with which a shard goes on alone.
//
// It owns those threads, on which each handshake is a coroutine, the line of connections that wait for a place, the
// policies by which a server or a client agrees (Server, Client: immutable, parts of a snapshot), and the session
// tickets.
//
// # How a shard uses it
//
// Each shard has a Port. Serve or Dial begins a Conversation. The shard feeds it the ciphertext it receives and sends
// the ciphertext that the conversation puts out; Port.Next says which one has news, after wake was called. When Outcome
// is there, the shard sends what Output still has, starts a record.Layer with the keys, opens Outcome.Left with it, and
// ends the conversation.
//
// # Invariants
//
//   - A method of Port or Conversation, called on its shard's thread, never waits: bytes go through rings with one
//     writer and one reader, news through a list that is linked without a lock.
//   - No more handshakes are on their way than PoolOptions.InFlight; as many as PoolOptions.Waiting wait, and the line
//     takes clients in turns by their address, and servers by their Client, so that one who asks for many waits for his
//     own only. What exceeds that is shed, and so is a handshake whose peer takes its time while others wait for the
//     place. Who waits in the line holds a hello, and no coroutine and no ring.
//   - A conversation may be ended at any time. What it held is used again as soon as its coroutine has let go of it.
//   - Of a connection's records crypto/tls takes no byte beyond the handshake's last: the rest is the shard's. Keys are
//     derived only after crypto/tls said that the handshake succeeded, and the secrets are overwritten.
//
// Where the hand-over cannot be (SelfTest says so), the conversation stays and is the record layer: see Relayed.
//
// It may import tls/certs, tls/record, tls/alert, internal/sched and the standard library's cryptography, and is
// imported by plan, for the types Server and Client only, by control, proxy, server and perf/load.
package handshake
