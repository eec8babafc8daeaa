// Package custody is the desk of a node: it takes a frame in, joins repeats of it, keeps the clock, commits the answer,
// then replies.
//
// A frame that the desk took belongs to the desk: the caller may go away, the frame is judged and recorded all the same.
// A model's verdict leaves only after its commit came back; what leaves first is a fallback, marked as not recorded, and
// is recorded as an announcement as soon as the store works, so that the effective verdict knows of it. PASS never leaves
// unrecorded.
//
// The desk must not know who judges (an engine, a router, a peer), how results are stored, how images are kept or how a
// frame arrived: it holds one Inspector, one Store and one Images, and speaks the words of package inspection.
package custody
