// Package onnx reads what an ONNX file says of itself: inputs, outputs, metadata, operators, opsets, and how much of it is
// weights. It runs nothing and copies no weights.
//
// It does not know what a graph is for, nor which graphs a node takes; package models and package proposal do.
package onnx
