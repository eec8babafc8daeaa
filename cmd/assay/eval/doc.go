// Package eval measures what a model said of a set against the set's ground truth: average precision of boxes, the
// confusion of classes, and how well scores and heatmaps tell the anomalous from the normal. It reads the sets: COCO files,
// a folder for each class, folders of pictures with masks.
//
// It knows nothing of nodes, recipes or the wire: whoever has a model's findings can hand them in.
package eval
