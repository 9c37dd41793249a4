#!/usr/bin/env bash
# Installs @tensorflow/tfjs-node 4.22.0 (or its -gpu twin) without access to its download bucket: libtensorflow comes
# from the TensorFlow wheel on PyPI, pinned by its hash, and the addon is compiled here.
#   scripts/install-tfjs-node.sh [cpu|gpu] [DIR]      DIR: .tfjs-node beside package.json, where Readapt looks for it
# Needs x86_64 Linux (glibc >= 2.17), node, npm, python3 with pip or venv, make, g++ (C++17) and binutils.
# gpu: CUDA 12.5 and cuDNN 9.3 from NVIDIA's wheels go into deps/nvidia, where the library's RUNPATH finds them, so that
# the machine needs only an NVIDIA driver (>= 555). NO_CUDA_WHEELS=1 uses the system's CUDA instead.
set -euo pipefail
kind=${1:-cpu} tfjs=4.22.0 tf=2.18.1
dir=${2:-$(cd "$(dirname "$0")/.." && pwd)/.tfjs-node}
case $kind in
  cpu) pkg=@tensorflow/tfjs-node wheel=tensorflow-cpu
    sha=810c75d7149d2da0cb2092187817b0dcabb80728ca9f9cf3a61f3f42fadd1298 ;;
  gpu) pkg=@tensorflow/tfjs-node-gpu wheel=tensorflow
    sha=c9f87e5d2a680a4595f5dc30daf6bbaec9d4129b46d7ef1b2af63c46ac7d2828 ;;
  *) echo "usage: $0 [cpu|gpu] [DIR]" >&2; exit 2 ;;
esac
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "found $(uname -sm), expected Linux x86_64" >&2; exit 1; }
for tool in node npm python3 make g++ strip; do
  command -v "$tool" >/dev/null || {
    echo "$tool was not found; on Debian: apt-get install python3 python3-venv make g++ binutils" >&2
    exit 1
  }
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python=python3
python3 -m pip --version >/dev/null 2>&1 || { python3 -m venv "$tmp/venv" && python=$tmp/venv/bin/python; }

# Makes a package of its own: npm would otherwise look for one in the folders above, and prune the other kind.
mkdir -p "$dir"
cd "$dir"
[ -e package.json ] || echo '{ "private": true }' > package.json
npm install --ignore-scripts --no-audit --no-fund --save-exact "$pkg@$tfjs"

download() {
  "$python" -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 --platform manylinux2014_x86_64 \
    -d "$tmp" "$@"
}
echo "$wheel==$tf --hash=sha256:$sha" > "$tmp/requirements.txt"
download --require-hashes -r "$tmp/requirements.txt"
deps=$PWD/node_modules/$pkg/deps
"$python" - "$tmp"/tensorflow*.whl "$deps" <<'PY'
import os, shutil, sys, zipfile

wheel, deps = sys.argv[1:]
INCLUDE = "tensorflow/include/"
NAMES = ("tensorflow/c/", "tensorflow/core/platform/ctstring", "tsl/platform/ctstring", "xla/tsl/c/")
HEADERS = tuple(INCLUDE + name for name in NAMES)
with zipfile.ZipFile(wheel) as archive:
    for entry in archive.infolist():
        if entry.filename.startswith("tensorflow/libtensorflow"):
            target = "lib/" + os.path.basename(entry.filename)
        elif entry.filename.startswith(HEADERS) and entry.filename.endswith(".h"):
            target = "include/" + entry.filename[len(INCLUDE):]
        else:
            continue
        target = os.path.join(deps, target)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with archive.open(entry) as source, open(target, "wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
PY
rm -f "$tmp"/tensorflow*.whl
[ "$kind" = gpu ] || strip --strip-unneeded "$deps"/lib/*.so.2 # 683 to about 500 MB
ln -sf libtensorflow_cc.so.2 "$deps/lib/libtensorflow.so"      # the addon links -ltensorflow
ln -sf libtensorflow_framework.so.2 "$deps/lib/libtensorflow_framework.so"
if [ "$kind" = gpu ] && [ -z "${NO_CUDA_WHEELS:-}" ]; then
  download nvidia-cublas-cu12==12.5.3.2 nvidia-cuda-cupti-cu12==12.5.82 nvidia-cuda-nvcc-cu12==12.5.82 \
    nvidia-cuda-nvrtc-cu12==12.5.82 nvidia-cuda-runtime-cu12==12.5.82 nvidia-cudnn-cu12==9.3.0.75 \
    nvidia-cufft-cu12==11.2.3.61 nvidia-curand-cu12==10.3.6.82 nvidia-cusolver-cu12==11.6.3.83 \
    nvidia-cusparse-cu12==12.5.1.3 nvidia-nccl-cu12==2.21.5 nvidia-nvjitlink-cu12==12.5.82
  for archive in "$tmp"/nvidia*.whl; do python3 -m zipfile -e "$archive" "$deps" && rm "$archive"; done
  rm -rf "$deps"/*.dist-info "$deps"/nvidia/*/include
fi

# Uses Node's own headers if they are installed with it; node-gyp would otherwise download them from nodejs.org.
prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
[ ! -e "$prefix/include/node/node_api.h" ] || export npm_config_nodedir=$prefix
(cd "node_modules/$pkg" && npx --no-install node-pre-gyp install --build-from-source >"$tmp/log" 2>&1) || {
  cat "$tmp/log"
  exit 1
}
TF_CPP_MIN_LOG_LEVEL=2 node -e '
const util = require("util");
util.isNullOrUndefined ??= (value) => value == null; // gone in Node 23
const tf = require(process.argv[1]);
if (tf.getBackend() !== "tensorflow" || tf.matMul([[1, 2]], [[3], [4]]).dataSync()[0] !== 11) process.exit(1);
console.log(`${process.argv[1]} works; a GPU is in use: ${tf.backend().isUsingGpuDevice}`);' "$pkg"
