// Package schedule decides which samples run next: it holds the samples that wait, knows how long a batch of each size
// takes, and answers an executor that is free with a batch, with samples that can no longer be in time, or with how long
// to wait. It is pure and synchronous: it starts no goroutine, reads no clock and takes no lock; whoever owns a Queue
// brings the time and keeps two callers apart.
//
// It does not know what a sample is, what runs it, or how anybody is told.
package schedule
