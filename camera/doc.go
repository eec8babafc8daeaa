// Package camera is the camera's side of the stream: sources that yield pictures in order, and a client that brings every
// one of them to a node and keeps it until the node has it on disk.
//
// A Source is a folder of pictures (Folder, with a frames.csv where more is known of each), a folder into which another
// program writes (Watch), a film (camera/video) or drawn boards (camera/synthetic). Labelled, Paced and Loop wrap
// a source to fill in what it does not know, to keep time, and to repeat it. Pictures pass through as they came: nothing
// here decodes or encodes one, and only a film is taken apart, into raw pixels.
//
// A source says what it knows of a picture. It gives no frame a key: whoever sends numbers the frames, and a picture that is
// offered twice (a folder that is streamed again, a watched file that was not settled before a restart) is two frames.
//
// The room must not know models, stores, or how a node judges: it knows pictures, the wire, and what an answer
// promises.
package camera
