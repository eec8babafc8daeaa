// Package load sends frames to a node by a timetable that is fixed beforehand, whatever the node does, and says when each
// was answered, counted from when it was due. It is a lean client: streams and credits, and no copy of a frame is kept.
//
// It must not judge what a figure means, keep a frame for another attempt, or know where pictures come from. Whoever needs
// a camera that loses nothing takes camera.Stream.
package load
