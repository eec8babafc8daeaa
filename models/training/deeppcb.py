#!/usr/bin/env python3
"""Turn a split of DeepPCB into what `assay stream` and `assay eval` read.

    models/training/deeppcb.py --data ../shared/data/deeppcb --split test --out build/deeppcb-test

writes into --out:
    images/NAME.jpg          the tested pictures, as they are
    images/frames.csv        serial, view and reference of each, for `assay stream`
    images/coco.json         the boxes, and each picture's reference, for `assay eval`
    recipes/deeppcb.yaml     a recipe for the shipped model pcb-pair
    recipes/deeppcb/NAME.png the templates, its reference set

Standard library only. The set's licence restricts its use to research: do not commit what this writes.
"""
import argparse
import csv
import json
import pathlib
import shutil
import sys

# The order of the set's own type numbers, which start at 1.
CLASSES = ["open", "short", "mousebite", "spur", "copper", "pin-hole"]
SIZE = 640

RECIPE = """\
# Written by models/training/deeppcb.py: board layers of DeepPCB, each compared with its own template.
name: deeppcb
model: pcb-pair
reference:
  folder: deeppcb
  align: none
px_per_mm: 48
report_at: {report_at}
max_candidates: 300
budget: {budget}
fallback: REVIEW
classes:
  "*": {{review_at: {review_at}, reject_at: {reject_at}}}
"""


def read_boxes(path: pathlib.Path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        fields = [int(f) for f in line.replace(",", " ").split()]
        if len(fields) != 5 or not 1 <= fields[4] <= len(CLASSES):
            sys.exit(f"{path}:{number}: {line!r}: want x1 y1 x2 y2 type, type 1..{len(CLASSES)}")
        yield fields


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data/deeppcb"), help="folder of the set")
    p.add_argument("--split", default="test", help="train, val or test (default: test)")
    p.add_argument("--out", type=pathlib.Path, required=True, help="folder to write; it must not hold anything yet")
    p.add_argument("--budget", default="10s", help="the recipe's budget (default: 10s, enough for any machine)")
    p.add_argument("--report-at", type=float, default=0.01, help="the recipe's report_at (default: 0.01, for average precision)")
    p.add_argument("--reject-at", type=float, default=0.4, help="the recipe's reject_at (default: 0.4, about the best F-score on boards that were held out)")
    p.add_argument("--review-at", type=float, default=0.3, help="the recipe's review_at (default: 0.3)")
    args = p.parse_args()

    split = args.data / f"{args.split}.txt"
    if not split.exists():
        sys.exit(f"{split} does not exist: name the folder of DeepPCB with --data")
    if args.out.exists() and any(args.out.iterdir()):
        sys.exit(f"{args.out} holds something already: remove it or name another --out")
    images, templates = args.out / "images", args.out / "recipes" / "deeppcb"
    images.mkdir(parents=True)
    templates.mkdir(parents=True)

    coco = {"images": [], "annotations": [], "categories": [{"id": i, "name": n} for i, n in enumerate(CLASSES, 1)]}
    rows = []
    for line in split.read_text().split():
        source = args.data / "PCBData" / line
        name = source.name
        shutil.copyfile(f"{source}_test.jpg", images / f"{name}.jpg")
        shutil.copyfile(f"{source}_temp.png", templates / f"{name}.png")
        image_id = len(coco["images"]) + 1
        coco["images"].append({"id": image_id, "file_name": f"{name}.jpg", "width": SIZE, "height": SIZE, "reference": name})
        rows.append([f"{name}.jpg", name, "top", name])
        boxes = source.parent.parent / f"{source.parent.name}_not" / f"{name}.txt"
        for x1, y1, x2, y2, kind in read_boxes(boxes):
            coco["annotations"].append({"id": len(coco["annotations"]) + 1, "image_id": image_id, "category_id": kind,
                                        "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0})
    (images / "coco.json").write_text(json.dumps(coco))
    with open(images / "frames.csv", "w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(["file", "serial", "view", "reference"])
        writer.writerows(rows)
    (args.out / "recipes" / "deeppcb.yaml").write_text(RECIPE.format(
        budget=args.budget, report_at=args.report_at, review_at=args.review_at, reject_at=args.reject_at))
    print(f"{args.out}: {len(rows)} pictures, {len(coco['annotations'])} boxes, their templates and a recipe")


if __name__ == "__main__":
    main()
