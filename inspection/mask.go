package inspection

// Mask says which pixels of the frame belong to a candidate: run lengths as pycocotools reads and writes them (COCO's
// compressed RLE: columns from left to right, each from top to bottom, beginning with what does not belong). It is read-only.
type Mask struct {
	Width  int    `json:"width"` // of the frame, px
	Height int    `json:"height"`
	Counts string `json:"counts"`
}

// Heatmap says how anomalous each place of an area of the frame is. Grey value g of its pixels, 0..255, stands for the
// raw score Low + g/255*(High-Low). It is read-only.
type Heatmap struct {
	PNG  []byte  `json:"png"`  // 8-bit grey; its size is that of the model's map, not of the frame
	Area Box     `json:"area"` // what of the frame it covers, in pixels of the frame
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}
