// Package store keeps what must last: results with every judgement, announcement and disposition, recipe revisions, and
// the frames' image files. A result is one row per frame key; what comes later is appended beside it, and the effective
// verdict is folded again in the same transaction. Commit returns only when the group is on disk.
//
// It does not judge, does not answer cameras and does not know who asks: it takes inspection's words and gives them back.
package store
