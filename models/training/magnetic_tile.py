#!/usr/bin/env python3
"""Turn a split of the magnetic tiles into what `assay eval` reads, in MVTec AD's form.

    models/training/magnetic_tile.py --data ../shared/data/magnetic_tile --split test --out build/magnetic-tile-test

writes into --out:
    images/test/good/NAME.jpg                the normal tiles (MT_Free)
    images/test/KIND/NAME.jpg                those with a defect of a kind (MT_Blowhole, MT_Break, ...), as they are
    images/ground_truth/KIND/NAME_mask.png   the defects' masks, as they are: above grey 127 is the defect
    recipes/magnetic-tile.yaml               a recipe for the model magnetic-tile

Standard library only. The set has no licence file: use it for tests and research, and do not commit what this writes.
"""
import argparse
import pathlib
import shutil
import sys
from collections import defaultdict

NORMAL = "MT_Free"

RECIPE = """\
# Written by models/training/magnetic_tile.py: magnetic tiles, whatever differs from normal ones.
name: magnetic-tile
model: {model}
report_at: {report_at}
max_candidates: 300
budget: {budget}
fallback: REVIEW
classes:
  "*": {{review_at: {review_at}, reject_at: {reject_at}}}
"""


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data/magnetic_tile"), help="folder of the set")
    p.add_argument("--split", default="test", help="train (normal tiles alone) or test (default: test)")
    p.add_argument("--out", type=pathlib.Path, required=True, help="folder to write; it must not hold anything yet")
    p.add_argument("--model", default="magnetic-tile", help="the recipe's model (default: magnetic-tile)")
    p.add_argument("--budget", default="10s", help="the recipe's budget (default: 10s, enough for any machine)")
    p.add_argument("--report-at", type=float, default=0.01, help="the recipe's report_at (default: 0.01, so that every score counts)")
    p.add_argument("--reject-at", type=float, default=0.5, help="the recipe's reject_at (default: 0.5, the threshold of training)")
    p.add_argument("--review-at", type=float, default=0.4, help="the recipe's review_at (default: 0.4)")
    args = p.parse_args()

    split = args.data / f"{args.split}.txt"
    if not split.exists():
        sys.exit(f"{split} does not exist: name the folder of the magnetic tiles with --data")
    if args.out.exists() and any(args.out.iterdir()):
        sys.exit(f"{args.out} holds something already: remove it or name another --out")
    counts = defaultdict(int)
    for line in split.read_text().split():
        source = args.data / line
        kind = source.parent.parent.name
        mask = source.with_suffix(".png")
        if kind != NORMAL and not mask.exists():
            sys.exit(f"{mask} does not exist: a tile with a defect has its mask beside it")
        folder = args.out / "images" / "test" / ("good" if kind == NORMAL else kind)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / source.name)
        if kind != NORMAL:
            truth = args.out / "images" / "ground_truth" / kind
            truth.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(mask, truth / f"{source.stem}_mask.png")
        counts[kind] += 1
    (args.out / "recipes").mkdir(parents=True)
    (args.out / "recipes" / "magnetic-tile.yaml").write_text(RECIPE.format(
        model=args.model, budget=args.budget, report_at=args.report_at, review_at=args.review_at, reject_at=args.reject_at))
    print(f"{args.out}: {sum(counts.values())} pictures and a recipe; " + ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())))


if __name__ == "__main__":
    main()
