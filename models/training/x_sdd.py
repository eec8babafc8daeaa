#!/usr/bin/env python3
"""Turn a part of X-SDD (hot-rolled steel strip, seven kinds of defect) into what `assay eval` reads.

    models/training/x_sdd.py --data ../shared/data/x_sdd --split val --out build/x-sdd-val

writes into --out:
    images/CLASS/NAME.png    the pictures, as they are; a class is named as the set names it
    recipes/x-sdd.yaml       a recipe for the model steel

The set's folder holds train.txt, and may hold test.txt. From train.txt `--split val` takes a fifth of each class, drawn by
--seed, and `--split train` the rest; `--split all` takes both. A model that was trained on all of train.txt has seen val.

Standard library only. The set's licence is Apache-2.0.
"""
import argparse
import pathlib
import random
import shutil
import sys
from collections import defaultdict

# One in so many pictures of a class is for validation.
VAL_EVERY = 5

RECIPE = """\
# Written by models/training/x_sdd.py: one of seven kinds of defect on each picture of hot-rolled strip.
name: x-sdd
model: {model}
report_at: {report_at}
budget: {budget}
fallback: REVIEW
classes:
  "*": {{review_at: {review_at}, reject_at: {reject_at}}}
"""


def chosen(data: pathlib.Path, split: str, seed: int):
    """The lines of a split, in the order of its file."""
    listed = data / ("test.txt" if split == "test" else "train.txt")
    if not listed.exists():
        sys.exit(f"{listed} does not exist: name the folder of X-SDD with --data" + (", or take --split val" if split == "test" else ""))
    lines = [line for line in listed.read_text().splitlines() if line.strip()]
    if split in ("test", "all"):
        return lines
    classes = defaultdict(list)
    for line in lines:
        classes[pathlib.PurePosixPath(line).parent.name].append(line)
    draw, val = random.Random(seed), set()
    for name in sorted(classes):
        val.update(draw.sample(sorted(classes[name]), max(1, len(classes[name]) // VAL_EVERY)))
    return [line for line in lines if (line in val) == (split == "val")]


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data/x_sdd"), help="folder of the set")
    p.add_argument("--split", choices=["train", "val", "all", "test"], default="val", help="which part (default: val)")
    p.add_argument("--seed", type=int, default=1, help="seed of val (default: 1)")
    p.add_argument("--out", type=pathlib.Path, required=True, help="folder to write; it must not hold anything yet")
    p.add_argument("--model", default="steel", help="the recipe's model (default: steel)")
    p.add_argument("--budget", default="10s", help="the recipe's budget (default: 10s, enough for any machine)")
    p.add_argument("--report-at", type=float, default=0.01, help="the recipe's report_at (default: 0.01)")
    p.add_argument("--reject-at", type=float, default=0.5, help="the recipe's reject_at (default: 0.5)")
    p.add_argument("--review-at", type=float, default=0.3, help="the recipe's review_at (default: 0.3)")
    args = p.parse_args()

    lines = chosen(args.data, args.split, args.seed)
    if args.out.exists() and any(args.out.iterdir()):
        sys.exit(f"{args.out} holds something already: remove it or name another --out")
    counts = defaultdict(int)
    for line in lines:
        source = args.data / line
        folder = args.out / "images" / source.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / source.name)
        counts[source.parent.name] += 1
    (args.out / "recipes").mkdir(parents=True)
    (args.out / "recipes" / "x-sdd.yaml").write_text(RECIPE.format(
        model=args.model, budget=args.budget, report_at=args.report_at, review_at=args.review_at, reject_at=args.reject_at))
    print(f"{args.out}: {len(lines)} pictures and a recipe; " + ", ".join(f"{n} {name}" for name, n in sorted(counts.items())))


if __name__ == "__main__":
    main()
