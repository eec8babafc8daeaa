//go:build gocv_specific_modules

package node_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"testing"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/node/nodetest"
)

// damaged is a frame that nothing may be seen in, and why.
type damaged struct {
	name   string
	frame  inspection.Frame
	reason inspection.Reason
}

// damagedFrames are pictures of good boards: whoever judged what is left of one, or the picture before it, would say PASS.
func damagedFrames(h *house) []damaged {
	var all []damaged
	add := func(name string, f inspection.Frame, reason inspection.Reason) {
		all = append(all, damaged{name, f, reason})
	}
	jpeg, png := h.board(h.good(), inspection.FormatJPEG), h.board(h.good(), inspection.FormatPNG)
	for percent := range 100 {
		for _, f := range []inspection.Frame{jpeg, png} {
			data := bytesOf(f)
			add(fmt.Sprintf("%s cut at %d %%", f.Image.Format, percent), withBytes(f, data[:len(data)*percent/100]), inspection.ReasonImage)
		}
	}
	clean := bytesOf(png)
	pixels := bytes.Index(clean, []byte("IDAT")) + 4
	for i := range 40 { // within the chunk's CRC: the picture may differ in one pixel, and nobody could tell
		data := bytes.Clone(clean)
		at := pixels + i*(len(clean)-pixels-16)/40
		data[at] ^= 1 << (i % 8)
		add(fmt.Sprintf("bit %d of byte %d flipped", i%8, at), withBytes(png, data), inspection.ReasonImage)
	}
	wide := jpeg
	wide.Image.Width = 641
	add("another width than its header's", wide, inspection.ReasonImage)
	mislabelled := png
	mislabelled.Image.Format = inspection.FormatJPEG
	add("a PNG called JPEG", mislabelled, inspection.ReasonImage)
	unlabelled := jpeg
	unlabelled.Image.Format = inspection.FormatUnknown
	add("no format", unlabelled, inspection.ReasonImage)
	add("text", withBytes(jpeg, bytes.Repeat([]byte("this is no picture\n"), 500)), inspection.ReasonImage)
	add("a PNG of 65535 x 65535", withBytes(png, pngBomb(clean)), inspection.ReasonImageTooLarge)
	add("a JPEG of 65535 x 65535", withBytes(jpeg, jpegBomb(bytesOf(jpeg))), inspection.ReasonImageTooLarge)
	return all
}

// pngBomb is a PNG whose header says 65535 x 65535, with the CRC that belongs to it.
func pngBomb(data []byte) []byte {
	out := bytes.Clone(data)
	binary.BigEndian.PutUint32(out[16:], 65535)
	binary.BigEndian.PutUint32(out[20:], 65535)
	binary.BigEndian.PutUint32(out[29:], crc32.ChecksumIEEE(out[12:29]))
	return out
}

// jpegBomb is a JPEG whose frame header says 65535 x 65535.
func jpegBomb(data []byte) []byte {
	out := bytes.Clone(data)
	at := bytes.Index(out, []byte{0xff, 0xc0}) // SOF0: marker, length, precision, height, width
	binary.BigEndian.PutUint16(out[at+5:], 65535)
	binary.BigEndian.PutUint16(out[at+7:], 65535)
	return out
}

func TestDamagedPicturesAreNeverPassed(t *testing.T) {
	h := open(t, nil)
	s := h.camera("cam-1", nil)
	whole := [2]inspection.Frame{h.board(h.good(), inspection.FormatJPEG), h.board(h.bad(), inspection.FormatJPEG)}
	want := [2]inspection.Verdict{h.judge(s, whole[0]).Verdict, h.judge(s, whole[1]).Verdict}
	if want[0] != inspection.Pass || want[1] != inspection.Fail {
		t.Fatalf("the whole pictures are %v, want PASS and FAIL", want)
	}
	all := damagedFrames(h)
	var tickets, between []*camera.Ticket
	for i, d := range all { // each is followed by a whole one, good and bad in turn
		tickets, between = append(tickets, h.send(s, d.frame)), append(between, h.send(s, whole[i%2]))
	}
	for i, d := range all {
		checkRefused(t, h, d, h.settled(tickets[i]))
		if o := h.settled(between[i]); o.Verdict != want[i%2] || o.Source != inspection.SourceModel {
			t.Errorf("the whole picture after %q: %v by %v, want %v by the model", d.name, o.Verdict, o.Source, want[i%2])
		}
	}
	seqs := map[uint64]int{}
	for _, r := range h.list(inspection.Query{Camera: "cam-1", Limit: 1000}) {
		seqs[r.Frame.Key.Seq]++
	}
	for seq := range uint64(2 + 2*len(all)) {
		if seqs[seq+1] != 1 {
			t.Errorf("frame %d has %d results, want 1", seq+1, seqs[seq+1])
		}
	}
	for _, i := range []int{40, 41, len(all) - 1} { // what could not be judged can be looked at, as it came
		id := h.settled(tickets[i]).Answer.ID
		nodetest.Until(t, "the damaged picture is kept", func() error {
			if r := h.get(id); r.Image.State != inspection.ImageKept {
				return errors.New(r.Image.State.String())
			}
			return nil
		})
		if code, _, body := h.Get("/v1/results/"+string(id)+"/image", nil); code != http.StatusOK || !bytes.Equal(body, bytesOf(all[i].frame)) {
			t.Errorf("%s: status %d with %d bytes, want those that were sent", all[i].name, code, len(body))
		}
	}
}

func checkRefused(t *testing.T, h *house, d damaged, o camera.Outcome) {
	t.Helper()
	if o.Verdict != inspection.Undetermined || o.Reason != d.reason || o.Answer.Judgement.Detail == "" {
		t.Errorf("%s: %v, reason %q, detail %q; want UNDETERMINED, %s and why", d.name, o.Verdict, o.Reason, o.Answer.Judgement.Detail, d.reason)
	}
	r := h.get(o.Answer.ID)
	if r.Effective.Verdict != inspection.Undetermined || len(r.Judgements) != 1 {
		t.Errorf("%s: recorded %v with %d judgements, want UNDETERMINED with 1", d.name, r.Effective.Verdict, len(r.Judgements))
	}
	empty := len(bytesOf(d.frame)) == 0
	if state := r.Image.State; !empty && state != inspection.ImagePending && state != inspection.ImageKept {
		t.Errorf("%s: its image is %v, want pending or kept", d.name, state)
	}
}
