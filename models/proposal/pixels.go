package proposal

import (
	"fmt"

	"github.com/assay-vision/assay/models"
)

// pixels say how a picture becomes a tensor. Fields with an empty path are left out of the manifest.
type pixels struct{ color, sources, resize, interpolation, anchor, pad, scale, mean, std field }

const (
	perByte      = "0.00392156862745098" // 1/255
	imageNetMean = "[0.485, 0.456, 0.406]"
	imageNetStd  = "[0.229, 0.224, 0.225]"
)

func usual(family string) string { return "usual for " + family + ", check" }

// letterboxed is what most YOLO exports want: the whole picture in RGB, 0 to 1, on a grey border.
func letterboxed(family string) pixels {
	why := usual(family)
	return pixels{
		color: assumed("color", string(models.RGB), why), resize: assumed("resize", string(models.Letterbox), why),
		anchor: assumed("anchor", string(models.Center), why), pad: assumed("pad", "114", why), scale: assumed("scale", perByte, "values of 0..1, "+why),
	}
}

// stretched is RGB of 0 to 1, brought to the input's size without a border.
func stretched(family string) pixels {
	why := usual(family)
	return pixels{
		color: assumed("color", string(models.RGB), why), resize: assumed("resize", string(models.Stretch), why),
		scale: assumed("scale", perByte, "values of 0..1, "+why),
	}
}

// normalised adds ImageNet's mean and deviation, which apply to values of 0 to 1.
func (p pixels) normalised(family string) pixels {
	p.mean = assumed("mean", imageNetMean, "ImageNet's, "+usual(family))
	p.std = assumed("std", imageNetStd, "ImageNet's, "+usual(family))
	return p
}

// unknownPixels leaves everything to be stated.
func unknownPixels() pixels {
	return pixels{
		color:  unknown("color", "rgb or bgr, as in training"),
		resize: unknown("resize", "stretch, letterbox (with pad and anchor), crop (for a classifier) or none, as in training"),
		scale:  unknown("scale", "1 for values of 0..255, "+perByte+" (1/255) for 0..1"),
		mean:   unknown("mean", "[0] for none, "+imageNetMean+" for ImageNet's after 1/255"),
		std:    unknown("std", "[1] for none, "+imageNetStd+" for ImageNet's after 1/255"),
	}
}

// fields writes one input out.
func (p picture) fields(x pixels) []field {
	fs := []field{
		known("name", scalar(p.Name), "from the graph's input "+say(p.Tensor)),
		known("layout", string(p.layout), fmt.Sprintf("from the %d channels of the graph's input", p.channels)),
	}
	if p.Type == string(models.Uint8) {
		fs = append(fs, known("type", p.Type, "from the graph's input; it takes pixels as they are"))
		x.scale, x.mean, x.std = field{}, field{}, field{}
	}
	x = x.forChannels(p.channels)
	for _, fd := range []field{p.width, p.height, x.color, x.sources, x.resize, x.interpolation, x.anchor, x.pad, x.scale, x.mean, x.std} {
		if fd.Path != "" {
			fs = append(fs, fd)
		}
	}
	return fs
}

// forChannels brings colour and sources together with the number of channels, which three for a picture in colour is the usual
// one.
func (p pixels) forChannels(n int) pixels {
	const pair = "the graph compares pictures: from frame, reference and difference, in the order of its channels"
	switch n {
	case 1:
		p.color = known("color", string(models.Gray), "from the one channel of the graph's input")
		if p.mean.Standing == Assumed { // one for each colour
			p.mean, p.std = unknown("mean", "one value, as in training"), unknown("std", "one value, as in training")
		}
	case 2:
		p.color = known("color", string(models.Gray), "from the two channels of the graph's input")
		p.sources = unknown("sources", pair)
	case 6, 9:
		if p.color.Standing != Unknown {
			p.color = unknown("color", "rgb or bgr, as in training")
		}
		p.sources = unknown("sources", pair)
	}
	return p
}
