// Package imaging turns a frame's bytes into a model's tensor: it decodes strictly, measures the picture, lays it over its
// template, resizes it and fills a slot of the batch. It is the one room with OpenCV and libturbojpeg; files that need
// them carry the build tag gocv_specific_modules, and without it NewWorker says what is missing.
//
// It does not know models, recipes' rules, queues or batches, and it keeps nothing of one frame for the next: every
// buffer is written whole before it is read, or the call is an error.
package imaging
