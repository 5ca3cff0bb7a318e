#!/usr/bin/env bash
# Measures on a GPU that is elsewhere, on a machine with a Vulkan driver and loader and nothing else: no network, no toolchain.
#
#   benches/gpu.sh pack DIR     here: builds for Vulkan, and puts what has to be carried into DIR
#   DIR/gpu.sh run              there: agreement with the CPU, the table of perturbations, PyTorch beside it where it is installed
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

# The path of what cargo built last, of its messages.
built() { grep -o '"executable":"[^"]*"' | tail -n 1 | cut -d'"' -f4; }

pack() {
  local to=$1
  mkdir -p "$to"
  cd "$here/.."
  cp "$(cargo bench --no-run --features vulkan --bench step_cost --message-format json | built)" "$to/step_cost"
  cp "$(cargo test --no-run --release --features vulkan --test contract --message-format json | built)" "$to/contract"
  strip "$to/step_cost" "$to/contract"
  xz --force --extreme "$to/step_cost" "$to/contract"
  cp -r benches/gpu.sh benches/gpu_peer.py benches/peers "$to"
  du -sh "$to"
}

run() {
  cd "$here"
  xz --decompress --force --keep step_cost.xz contract.xz
  chmod +x step_cost contract
  # A device computes sums in another order; the tests' tolerances allow for it.
  ZOSAM_TEST_DEVICE=vulkan ./contract elsewhere
  for network in resnet32 deit-tiny deit-small; do
    ./step_cost --device vulkan --network "$network" --width 32 --batch 128 --only "SAM, RigL/plain m=1/reused/forecast/S2/sparse weights/burn"
  done
  if python3 -c 'import torch; assert torch.cuda.is_available()'; then
    python3 gpu_peer.py
  fi
}

case "${1:-}" in
  pack) pack "${2:?a folder}" ;;
  run) run ;;
  *) grep '^#   ' "$0" && exit 2 ;;
esac
