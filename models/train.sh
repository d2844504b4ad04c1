#!/usr/bin/env bash
# Makes the models and their numbers from nothing: models/train.sh [all|train|export|quantised|measure|experts|check]
# About an hour on one core with bfloat16 instructions, two without; training, interrupted, it goes on where it was.
# Everything goes to models/.build/ first; `all` then replaces the committed files. `experts` does so for the sibling.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
python=models/.venv/bin/python
build=models/.build

if [ ! -x "$python" ]; then
    python3 -m venv models/.venv
    "$python" -m pip install --quiet --requirement models/requirements.txt
fi
mkdir -p "$build"

train() { "$python" models/train_micro_world.py --output "$build"; }

export_model() {
    "$python" models/export.py "$build/checkpoint.pt" "$build/micro-world-f16.gguf"
    "$python" models/micro_world.py --held-out 400 >"$build/micro-world-held-out.txt"
}

quantised() {
    # Steps as the model card states them.
    while read -r format steps; do
        "$python" models/train_micro_world.py --output "$build" --fake-quant "$format" --stop "$steps" \
            --from "$build/micro-world-f16.gguf" </dev/null
    done <<<$'Q4_0 300\nQ2_K 200\nF16 300'
}

measure() {
    "$python" models/evaluate.py "$build/micro-world-f16.gguf" --require --output "$build/evaluation.json"
    "$python" models/heads.py "$build/micro-world-f16.gguf" --output "$build/heads.json"
    "$python" models/curve.py "$build/curve.csv" "$build/curve.svg"
}

experts() {
    local sibling="$build/experts" name=micro-world-experts-q8_0.gguf
    "$python" models/train_micro_world.py --architecture deepseek2 --output "$sibling"
    "$python" models/export.py --architecture deepseek2 --format Q8_0 "$sibling/checkpoint.pt" "$sibling/$name"
    "$python" models/evaluate.py "$sibling/$name" --stories 100 --output "$sibling/experts-evaluation.json"
    "$python" models/experts.py "$sibling/$name" --stories 100 --output "$sibling/experts.json"
    "$python" models/curve.py "$sibling/curve.csv" "$sibling/experts-curve.svg"
    cp "$sibling/curve.csv" "$sibling/experts-curve.csv"
    cp "$sibling"/*.gguf "$sibling"/experts*.json "$sibling"/experts-curve.* models/
}

# llama.cpp is built from source for this, some minutes.
check() {
    scripts/build_llama.py package "$python"
    for model in micro-world-f16 micro-world-experts-q8_0; do
        "$python" models/check_file.py "models/$model.gguf" --quipu .build/release/quipu
    done
}

case "${1:-all}" in
train) train ;;
export) export_model ;;
quantised) quantised ;;
measure) measure ;;
experts) experts ;;
check) check ;;
all)
    train
    export_model
    measure
    quantised
    cp "$build"/*.gguf "$build"/*.json "$build"/curve.* "$build"/*.txt models/
    ;;
*)
    sed -n 2p "$0" >&2
    exit 64
    ;;
esac
