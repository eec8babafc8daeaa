#!/usr/bin/env bash
# Measures the models through a running node, one table for each task: board layers (detect), steel strip (classify) and
# magnetic tiles (anomaly), each with the frames/s that were served and those of ONNX Runtime alone. JSON and PNG of each
# table stay in build/eval.
#
# The sets are looked for in $INSPECTION_DATA, else ../shared/data. For one that is absent, rendered data are judged instead. Models
# are those in build/models (as models/training writes them), then those that ship; a table whose model is in neither is
# left out, which is said and is no failure. A table that could be made and was not is: the exit status is 1 then.
#
#   INSPECTION_DATA=DIR   folder of the sets: deeppcb, x_sdd, magnetic_tile
#   EVAL_BOARDS=200       boards to render for a set that is absent
#   EVAL_ONLY=detect      only these tasks, with commas between them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

data=${INSPECTION_DATA:-../shared/data}
boards=${EVAL_BOARDS:-200}
only=${EVAL_ONLY:-}
out=build/eval
texture_renderer=models/training/train_tile.py # --data rendered --write-set DIR: textures with masks, for texture-anomaly
wait_ready=120                                 # seconds until the node must be ready
node='' temp='' addr=''
made=() left=() failed=()

say() { printf 'eval: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

has_model() { compgen -G "build/models/$1/[0-9]*/model.onnx" >/dev/null || compgen -G "models/$1/[0-9]*/model.onnx" >/dev/null; }

wanted() { [ -z "$only" ] || [[ ",$only," == *",$1,"* ]]; }

# What prepares a set is called where its failure is counted, and there `set -e` ends nothing: each step returns by itself.
declare -A job=() note=() # by task: the arguments of `assay eval`, one a line, and what is measured

# take TASK SET ARGUMENT...: TASK is to be measured with these arguments, by the recipe of build/eval/SET.
take() {
  local task=$1 set=$2
  shift 2
  cp -r "$out/$set/recipes/." "$out/recipes/" || return 1
  job[$task]=$(printf '%s\n' "$@")
}

# leave_out TASK WHY
leave_out() {
  say "$1: $2"
  left+=("$1")
}

# render TASK: rendered boards, which the shipped pcb-pair judges.
render() {
  "$out/bin/assay" render "$out/rendered-$1" --task "$1" --boards "$boards"
}

prepare_detect() {
  if [ ! -e "$data/deeppcb/test.txt" ]; then
    note[detect]="$data/deeppcb is absent: $boards rendered boards instead"
    render detect || return 1
    take detect rendered-detect -r rendered-detect --report-at 0.05 --iou 0.33,0.5 "$out/rendered-detect/images/coco.json"
    return
  fi
  note[detect]="board layers: DeepPCB, test.txt (boards that occur in training too; the authors added some defects by hand)"
  models/training/deeppcb.py --data "$data/deeppcb" --split test --out "$out/deeppcb" || return 1
  take detect deeppcb -r deeppcb --iou 0.33,0.5 "$out/deeppcb/images/coco.json"
}

prepare_classify() {
  local split=val
  if [ ! -e "$data/x_sdd/train.txt" ]; then
    note[classify]="$data/x_sdd is absent, and nothing renders steel strip: $boards rendered boards with one defect each instead, judged by pcb-pair, whose strongest candidate is the class"
    render classify || return 1
    take classify rendered-classify -r rendered-classify --reference test-p00 "$out/rendered-classify/images"
    return
  fi
  if ! has_model steel; then
    leave_out classify "there is no model steel, neither in build/models nor in models: train it with models/training/train_steel.py, and lay it into build/models/steel/1. The table is left out."
    return
  fi
  note[classify]="steel strip: X-SDD, a fifth of train.txt. A model that was trained on all of it has SEEN these pictures"
  if [ -e "$data/x_sdd/test.txt" ]; then
    split=test
    note[classify]="steel strip: X-SDD, test.txt"
  fi
  models/training/x_sdd.py --data "$data/x_sdd" --split $split --out "$out/x-sdd" || return 1
  take classify x-sdd -r x-sdd "$out/x-sdd/images"
}

# textures writes rendered textures and the recipe that judges them; false where there is nothing to render or judge them with.
textures() {
  local python
  has_model texture-anomaly && [ -e "$texture_renderer" ] || return 1
  for python in python3 /usr/bin/python3 none; do # Debian's own has PyTorch where another stands before it
    "$python" -c 'import torch, cv2' 2>/dev/null && break
  done
  [ "$python" != none ] && "$python" "$texture_renderer" --data rendered --write-set "$out/textures/images" || return 1
  mkdir -p "$out/textures/recipes"
  cat >"$out/textures/recipes/textures.yaml" <<-'RECIPE'
	# Written by scripts/eval.sh: rendered textures, whatever differs from normal ones.
	name: textures
	model: texture-anomaly
	report_at: 0.01
	max_candidates: 300
	budget: 10s
	fallback: REVIEW
	classes:
	  "*": {review_at: 0.4, reject_at: 0.5}
	RECIPE
}

prepare_anomaly() {
  local why=''
  if [ ! -e "$data/magnetic_tile/test.txt" ]; then
    why="$data/magnetic_tile is absent"
  elif ! has_model magnetic-tile; then
    why="no model magnetic-tile is in build/models, and none may ship, for its data have no licence (models/training/magnetic-tile.md says how to train it)"
  else
    note[anomaly]="magnetic tiles: test.txt"
    models/training/magnetic_tile.py --data "$data/magnetic_tile" --split test --out "$out/magnetic-tile" || return 1
    take anomaly magnetic-tile -r magnetic-tile "$out/magnetic-tile/images"
    return
  fi
  if textures; then
    note[anomaly]="$why: rendered textures instead, judged by texture-anomaly"
    take anomaly textures -r textures "$out/textures/images"
    return
  fi
  note[anomaly]="$why, and no textures can be rendered and judged ($texture_renderer with PyTorch and OpenCV, model texture-anomaly): $boards rendered boards with one defect or none instead, judged by pcb-pair, which gives no heatmap"
  render anomaly || return 1
  take anomaly rendered-anomaly -r rendered-anomaly --report-at 0.05 --reference test-p00 "$out/rendered-anomaly/images"
}

start_node() {
  local options=(--set node.name=eval --set "node.data_dir=$temp" --set "recipes.dir=$out/recipes" --set listen.grpc=127.0.0.1:0 --set listen.http=127.0.0.1:0)
  [ ! -d build/models ] || options+=(--set models.dir=build/models)
  "$out/bin/assayd" "${options[@]}" 2>"$out/node.log" &
  node=$!
  say "a node starts, loads its models and measures them (its log: $out/node.log)"
  local since=$SECONDS
  until addr=$(sed -n 's/.*msg="node is up".* grpc=\([^ ]*\).*/\1/p' "$out/node.log") && [ -n "$addr" ] && "$out/bin/assay" --addr "$addr" status >"$out/status.txt" 2>&1; do
    kill -0 $node 2>/dev/null || die "the node ended: $(tail -n 5 "$out/node.log")"
    [ $((SECONDS - since)) -lt $wait_ready ] || { say "the node is not ready after $wait_ready s:"; cat "$out/status.txt"; return 0; }
    sleep 0.2
  done
}

stop() {
  local status=$?
  trap - EXIT
  if [ -n "$node" ]; then
    kill "$node" 2>/dev/null || true
    wait "$node" 2>/dev/null || true
  fi
  [ -z "$temp" ] || rm -rf "$temp"
  exit "$status"
}

tasks=(detect classify anomaly)
for task in ${only//,/ }; do
  [[ " ${tasks[*]} " == *" $task "* ]] || die "EVAL_ONLY=$only: $task is none of ${tasks[*]}"
done
say "building"
# What an earlier run wrote is written anew: the converters fill empty folders only.
rm -rf "$out"
mkdir -p "$out/bin" "$out/recipes"
go build -o "$out/bin/" ./cmd/...
trap stop EXIT
trap 'exit 130' INT TERM
temp=$(mktemp -d)

for task in "${tasks[@]}"; do
  wanted "$task" || continue
  say "$task: preparing"
  "prepare_$task" || { say "$task: its set could not be prepared" >&2; failed+=("$task"); }
done
[ ${#job[@]} -eq 0 ] || start_node

for task in "${tasks[@]}"; do
  [ -n "${job[$task]:-}" ] || continue
  printf '\n== %s. %s\n' "$task" "${note[$task]}"
  mapfile -t arguments <<<"${job[$task]}"
  if "$out/bin/assay" --addr "$addr" eval --report "$out/$task.json" --plot "$out/$task.png" "${arguments[@]}"; then
    made+=("$task")
  else
    failed+=("$task")
  fi
done

printf '\n'
say "made: ${made[*]:-none}; left out: ${left[*]:-none}; failed: ${failed[*]:-none}. JSON and PNG of each are in $out."
[ ${#failed[@]} -eq 0 ]
