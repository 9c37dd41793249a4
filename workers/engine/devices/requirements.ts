import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { RUNTIME_OF, type Device } from './device.ts';
import { findTfjsNode, installCommand } from './tfjs-backends.ts';

/** What keeps a device from being used, and what to do about it. */
export interface Obstacle {
  readonly reason: string;
  /** Null where nothing is known. */
  readonly hint: string | null;
}

/** What can be seen to be missing without running anything on the device; null is nothing. */
export function missingRequirement(device: Device): Obstacle | null {
  switch (device) {
    case 'cuda':
      return unsupportedProvider('cuda') ?? missingCudaProvider();
    case 'webgpu':
      return unsupportedProvider('webgpu');
    case 'tfjs-node':
    case 'tfjs-node-gpu':
      if (findTfjsNode(device) !== null) return null;
      return { reason: `@tensorflow/${device} is not installed`, hint: `run ${installCommand(device)}` };
    case 'cpu':
    case 'tfjs-wasm':
    case 'tfjs-cpu':
      return null;
  }
}

function unsupportedProvider(name: string): Obstacle | null {
  const names = ort.listSupportedBackends().map((backend) => backend.name);
  if (names.includes(name)) return null;
  const platform = `${process.platform} ${process.arch}`;
  const reason = `this build of ONNX Runtime has no ${name} provider on ${platform}, only ${names.join(', ')}`;
  return { reason, hint: null };
}

/** The library is too large for the npm registry: onnxruntime-node's install script fetches it, which .npmrc turns off. */
export const INSTALL_CUDA_PROVIDER = 'node node_modules/onnxruntime-node/script/install --onnxruntime-node-install=cuda12';

function missingCudaProvider(): Obstacle | null {
  const file = process.platform === 'win32' ? 'onnxruntime_providers_cuda.dll' : 'libonnxruntime_providers_cuda.so';
  const root = path.dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const binaries = readdirSync(path.join(root, 'bin'), { recursive: true, encoding: 'utf8' });
  if (binaries.some((entry) => path.basename(entry) === file)) return null;
  return { reason: `ONNX Runtime's CUDA provider is not installed (no ${file})`, hint: `run ${INSTALL_CUDA_PROVIDER}` };
}

interface KnownFailure {
  readonly pattern: RegExp;
  readonly obstacle: (match: RegExpExecArray) => Obstacle;
}

const CUDA_LIBRARIES = 'install CUDA 12 and cuDNN 9, and name their folders in LD_LIBRARY_PATH; docs/devices.md lists them';

/** Messages that ONNX Runtime and TensorFlow give where something around them is missing. */
const KNOWN_FAILURES: Partial<Record<Device, readonly KnownFailure[]>> = {
  cuda: [
    {
      pattern: /(lib(?:cu|nv)[\w.-]*\.so[\w.]*): cannot open shared object file/,
      obstacle: ([, library]) => ({ reason: `the library ${library} was not found`, hint: CUDA_LIBRARIES }),
    },
    {
      pattern: /no CUDA-capable device|CUDA driver version is insufficient|CUDA failure 100|CUDA failure 35/i,
      obstacle: ([found]) => ({
        reason: `there is no CUDA card that can be used (${found})`,
        hint: 'install the NVIDIA driver (nvidia-smi lists the cards); in a container run with --gpus all',
      }),
    },
    {
      pattern: /Failed to load shared library/,
      obstacle: ([found]) => ({ reason: `the CUDA provider cannot be loaded (${found})`, hint: CUDA_LIBRARIES }),
    },
  ],
  webgpu: [
    {
      pattern: /Failed to get a WebGPU adapter/,
      obstacle: () => ({
        reason: 'there is no GPU that WebGPU can use (no adapter)',
        hint:
          process.platform === 'linux'
            ? "install the GPU's Vulkan driver; for software Vulkan: mesa-vulkan-drivers 25 (bookworm-backports) or later"
            : "install the GPU's driver",
      }),
    },
  ],
  'tfjs-node-gpu': [
    {
      pattern: /no GPU in use/,
      obstacle: () => ({
        reason: 'TensorFlow found no GPU and would compute on the CPU',
        hint: 'install an NVIDIA driver for CUDA 12.5 (555 or later); in a container run with --gpus all',
      }),
    },
  ],
};

/** What a failure on the device means. @param output what the device's libraries said, its error included */
export function explainFailure(device: Device, error: string, output: string): Obstacle {
  for (const { pattern, obstacle } of KNOWN_FAILURES[device] ?? []) {
    const match = pattern.exec(`${error}\n${output}`);
    if (match) return obstacle(match);
  }
  return { reason: error, hint: null };
}

/** The package that runs a device's programs. */
export function packageOf(device: Device): string {
  if (RUNTIME_OF[device] === 'compiled') return 'onnxruntime-node';
  if (device === 'tfjs-cpu') return '@tensorflow/tfjs';
  return device === 'tfjs-wasm' ? '@tensorflow/tfjs-backend-wasm' : `@tensorflow/${device}`;
}
