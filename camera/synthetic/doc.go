// Package synthetic draws pictures of printed-circuit-board layers with known defects, so that a node can be shown,
// tested and trained without anybody's production pictures.
//
// A product is a layout of traces, pads, vias, copper pours and mounting pads with one template picture. A board of that
// product is a tested picture: the same layout, moved a little, with its own ragged edges and its own defects,
// each with its class and box. Copper is black (0), ground is white (255). The look follows bare boards from a line-scan camera:
// binary pictures with edges that fray by about a pixel.
//
// The same Spec gives the same pixels on every machine. All geometry is integer arithmetic in sixteenths of a pixel and
// all randomness comes from PCG, whose sequence is fixed; floating point only carries two settings, each rounded once.
//
// How a pair is made: the layout is drawn once, one byte a pixel, with a border for the shift (master). A scan (a 5x5 box that
// is moved by a fraction of a pixel, compared with a noisy threshold) of the master is the template; then the defects are drawn
// into the master, each accepted only if it does to the copper what its class says (an open splits a
// conductor, a short joins two), and a second scan is the tested picture. Memory and time are linear in the area.
//
// It must not know models, the wire or a server: it draws, others send and judge. Of recipes it knows one text, which it writes beside
// its templates so that there is something to judge its boards by.
package synthetic
