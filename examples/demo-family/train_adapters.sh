#!/usr/bin/env bash
# Trains the six adapters of the demo on version 1 of the demo family with Readapt's own `train`.
# Usage: examples/demo-family/train_adapters.sh [NAME…]   (from the checkout's root; all six without a name)
set -euo pipefail
cd "$(dirname "$0")/../.."
family=examples/demo-family

train() { # train NAME TASK TRAIN_FILE STEPS BATCH_SIZE LEARNING_RATE
  node bin/readapt.js train --base $family/v1 --data "$family/data/$2/$3.jsonl" \
    --validation "$family/data/$2/validation.jsonl" --out "$family/adapters/$1" \
    --rank 8 --alpha 16 --steps "$4" --batch-size "$5" --learning-rate "$6" --seed 1 --json
}

names=("$@")
[ ${#names[@]} -gt 0 ] || names=(sst2 agnews agnews-small plural plural-small past-chat)
for name in "${names[@]}"; do
  echo "== $name" >&2
  case $name in
    sst2) train sst2 sst2 train 400 32 4e-3 ;;
    agnews) train agnews agnews train 240 32 2e-3 ;;
    agnews-small) train agnews-small agnews train-small 150 16 2e-3 ;;
    plural) train plural plural train 500 16 2e-3 ;;
    plural-small) train plural-small plural train-small 300 16 2e-3 ;;
    past-chat) train past-chat past-chat train 500 16 2e-3 ;;
    *) echo "unknown adapter $name" >&2; exit 2 ;;
  esac
done
