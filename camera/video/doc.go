// Package video is a camera.Source that takes a film apart into frames of raw pixels: for a recorded line, or a camera that writes
// films. OpenCV reads the film; a program that was built without it says so when a film is opened.
//
// It must not know models, stores, nodes or how a frame is judged.
package video
