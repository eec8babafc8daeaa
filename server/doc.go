// Package server is the front door of a node: gRPC for cameras, MES and the command line, and plain HTTP for probes,
// metrics, pictures and results. It checks what comes in, resolves a frame's recipe once, hands the job to the desk, and
// turns errors into codes in one place.
//
// It decides nothing: it does not judge, keep time, fall back or record, and it does not know who does. What it needs of
// the others are the small interfaces in deps.go, which package node fills in.
package server
