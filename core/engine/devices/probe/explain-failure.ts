import { kindOf, type Device, type DeviceKind } from '../../../options/devices.ts';
import type { Obstacle } from '../device-unavailable-error.ts';
import { cudaInstallCommand } from './requirements.ts';

interface KnownFailure {
  readonly pattern: RegExp;
  readonly obstacle: (match: RegExpExecArray) => Obstacle;
}

const NVIDIA_DRIVER =
  'install the NVIDIA driver, 580 or later (nvidia-smi lists the cards); in a container run with --gpus all';

const CUDA_FAILURES: readonly KnownFailure[] = [
  {
    pattern: /libcuda\.so\.1: cannot open shared object file/,
    obstacle: () => ({ reason: 'there is no NVIDIA driver (libcuda.so.1 was not found)', hint: NVIDIA_DRIVER }),
  },
  {
    pattern: /(lib[\w.-]+\.so[\w.]*): cannot open shared object file/,
    obstacle: ([, library]) => ({
      reason: `the library ${library} was not found`,
      hint: `${cudaInstallCommand()} installs it beside the provider; elsewhere its folder belongs in LD_LIBRARY_PATH`,
    }),
  },
  {
    pattern: /CUDA failure 101\b|Invalid device ID/,
    obstacle: () => ({
      reason: 'CUDA has no card of this number',
      hint: 'cuda:N counts from 0 the cards that nvidia-smi lists and CUDA_VISIBLE_DEVICES, if it is set, leaves',
    }),
  },
  {
    pattern: /CUDA failure \d+: ([^;]+?) *;/,
    obstacle: ([, found]) => ({ reason: `there is no CUDA card that can be used (${found})`, hint: NVIDIA_DRIVER }),
  },
];

const VULKAN_DRIVER =
  "install the GPU's Vulkan driver; for software Vulkan: mesa-vulkan-drivers 25 (bookworm-backports) or later";

const WEBGPU_FAILURES: readonly KnownFailure[] = [
  {
    pattern: /Failed to get a WebGPU adapter/,
    obstacle: () => ({
      reason: 'there is no GPU that WebGPU can use (no adapter)',
      hint: process.platform === 'linux' ? VULKAN_DRIVER : "install the GPU's driver",
    }),
  },
];

const TFJS_NODE_GPU_FAILURES: readonly KnownFailure[] = [
  {
    pattern: /no GPU in use/,
    obstacle: () => ({
      reason: 'TensorFlow found no GPU and would compute on the CPU',
      hint: 'install the NVIDIA driver, 555 or later (nvidia-smi lists the cards); in a container run with --gpus all',
    }),
  },
];

/**
 * Error messages of ONNX Runtime and TensorFlow for missing parts of the system, with explanations; the first message
 * whose pattern matches a failure explains it.
 */
const KNOWN_FAILURES: Partial<Record<DeviceKind, readonly KnownFailure[]>> = {
  cuda: CUDA_FAILURES,
  webgpu: WEBGPU_FAILURES,
  'tfjs-node-gpu': TFJS_NODE_GPU_FAILURES,
};

/**
 * Explains why a device failed, and what the user can do about it.
 * @param error message of the failed call
 * @param output stdout and stderr of the device's libraries during the call
 */
export function explainFailure(device: Device, error: string, output: string): Obstacle {
  for (const { pattern, obstacle } of KNOWN_FAILURES[kindOf(device)] ?? []) {
    const match = pattern.exec(`${error}\n${output}`);
    if (match) return obstacle(match);
  }
  return { reason: error, hint: null };
}
