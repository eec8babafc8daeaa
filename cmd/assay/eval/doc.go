// Package eval measures detections against ground truth: it reads COCO-format sets and computes average precision.
//
// It knows nothing of nodes, recipes or the wire: whoever has detections can hand them in.
package eval
