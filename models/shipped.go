package models

import "embed"

//go:embed pcb-pair/1 steel/1 texture-anomaly/1
var shipped embed.FS

// Shipped is the root of the models that are part of the program, so that a node serves without a repository on disk.
func Shipped() Root { return Root{Name: "(shipped)", FS: shipped} }
