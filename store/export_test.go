package store

// QueueForTest is the images' queue without its writer.
type QueueForTest struct {
	q     queue
	limit int64
}

// NewQueueForTest returns an empty queue for limit bytes.
func NewQueueForTest(limit int64) *QueueForTest { return &QueueForTest{limit: limit} }

// Add is Keep.
func (q *QueueForTest) Add(p Picture) { q.q.add(p, q.limit) }

// Waiting returns the seqs in the order in which they will be written.
func (q *QueueForTest) Waiting() []uint64 { return append(seqs(q.q.must), seqs(q.q.other)...) }

// Shed returns the seqs that were shed since the last call.
func (q *QueueForTest) Shed() []uint64 {
	out := seqs(q.q.shed)
	q.q.shed = nil
	return out
}

// Bytes returns the bytes on the account.
func (q *QueueForTest) Bytes() int64 { return q.q.bytes }

func seqs(ps []Picture) []uint64 {
	var out []uint64
	for _, p := range ps {
		out = append(out, p.Key.Seq)
	}
	return out
}
