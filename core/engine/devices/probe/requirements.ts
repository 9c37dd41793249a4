import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { scriptPath } from '../../../installation/package-path.ts';
import { kindOf, runtimeOf, type Device } from '../../../options/devices.ts';
import type { Obstacle } from '../device-unavailable-error.ts';
import { findTfjsNode, tfjsNodeMissing } from '../tfjs/tfjs-node-package.ts';

/**
 * Finds a missing requirement of a device without loading a runtime; returns null if nothing is found to be missing.
 */
export function missingRequirement(device: Device): Obstacle | null {
  const kind = kindOf(device);
  switch (kind) {
    case 'cuda':
      return missingCudaProvider();
    case 'tfjs-node':
    case 'tfjs-node-gpu':
      return findTfjsNode(kind) === null ? tfjsNodeMissing(kind) : null;
    case 'cpu':
    case 'webgpu':
    case 'tfjs-wasm':
    case 'tfjs-cpu':
      return null;
  }
}

/** Command that installs ONNX Runtime's CUDA provider, which is too large for the npm registry. */
export function cudaInstallCommand(): string {
  return scriptPath('install-cuda-provider.sh');
}

const CUDA_PROVIDER = 'libonnxruntime_providers_cuda.so';

interface Platform {
  readonly platform: string;
  readonly arch: string;
  /** Folder of the installed package onnxruntime-node. */
  readonly onnxRuntime: string;
}

/**
 * Explains why ONNX Runtime's CUDA provider is missing: it is not installed, or does not exist for the platform.
 * Returns null if it is installed.
 * @param platform default: this machine and the installed package
 */
export function missingCudaProvider({ platform, arch, onnxRuntime }: Platform = thisPlatform()): Obstacle | null {
  if (platform !== 'linux' || arch !== 'x64') {
    const supported = "ONNX Runtime's package for Node has a CUDA provider on Linux x64 only";
    return { reason: `${supported}, and this is ${platform} ${arch}`, hint: null };
  }
  const binaries = path.join(onnxRuntime, 'bin');
  const found = existsSync(binaries) ? readdirSync(binaries, { recursive: true, encoding: 'utf8' }) : [];
  if (found.some((entry) => path.basename(entry) === CUDA_PROVIDER)) return null;
  return {
    reason: `ONNX Runtime's CUDA provider is not installed (no ${CUDA_PROVIDER})`,
    hint: `run ${cudaInstallCommand()}`,
  };
}

function thisPlatform(): Platform {
  const onnxRuntime = path.dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return { platform: process.platform, arch: process.arch, onnxRuntime };
}

/** Name of the package that runs a device's programs. */
export function packageOf(device: Device): string {
  if (runtimeOf(device) === 'compiled') return 'onnxruntime-node';
  if (device === 'tfjs-cpu') return '@tensorflow/tfjs';
  return device === 'tfjs-wasm' ? '@tensorflow/tfjs-backend-wasm' : `@tensorflow/${device}`;
}
