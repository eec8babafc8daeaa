#!/usr/bin/env python3
"""Masks as pycocotools writes them: what package inspection's codec is compared with. To make masks.json again, from this folder:

    python3 -m venv /tmp/masks
    /tmp/masks/bin/pip install numpy==2.4.6 pycocotools==2.0.11
    /tmp/masks/bin/python masks.py

masks.json is a list: width, height, counts (pycocotools' compressed RLE), and rows, the frame's rows from above, each a
string of # (belongs) and . (does not).
"""

import json
import pathlib

import numpy as np
from pycocotools import mask as coco


def case(name, bits):
    rle = coco.encode(np.asfortranarray(bits.astype(np.uint8)))
    height, width = rle["size"]
    rows = ["".join("#" if v else "." for v in row) for row in bits]
    return {"name": name, "width": width, "height": height, "counts": rle["counts"].decode(), "rows": rows}


def main():
    rng = np.random.default_rng(1)
    disc = np.hypot(*np.meshgrid(np.arange(40) - 25, np.arange(30) - 12)) < 9
    corner = np.zeros((5, 4), bool)
    corner[-1, -1] = True
    stripes = np.zeros((3, 90), bool)
    stripes[:, 40:80:2] = True
    cases = [
        case("nothing", np.zeros((3, 5), bool)),
        case("everything", np.ones((3, 5), bool)),
        case("one pixel", np.ones((1, 1), bool)),
        case("first pixel", np.arange(12).reshape(3, 4) == 0),
        case("last pixel", corner),
        case("disc", disc),
        case("runs over columns", stripes),
        case("noise", rng.random((17, 23)) < 0.5),
        case("sparse", rng.random((31, 40)) < 0.02),
        case("long runs", np.arange(60 * 50).reshape(50, 60) > 2500),
    ]
    text = ",\n".join(json.dumps(c) for c in cases)
    pathlib.Path(__file__).with_name("masks.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
