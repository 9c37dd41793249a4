import { isEager, kindOf, type Device, type DeviceKind } from '../../options/devices.ts';
import type { LoadOptions } from './tfjs/tfjs-backends.ts';

const NVIDIA: ReadonlySet<DeviceKind> = new Set(['cuda', 'tfjs-node-gpu']);

/**
 * Loads a device's backend before anything runs on it. For NVIDIA cards, this also sets two environment variables,
 * unless they are set already; CUDA reads both when it starts in this process. One keeps float32 products in float32;
 * from Ampere on, ONNX Runtime and TensorFlow would otherwise round their operands to TF32's ten bits. The other makes
 * CUDA number cards as nvidia-smi does, rather than by speed.
 * @throws DeviceUnavailableError if a package is not installed
 */
export async function openDevice(device: Device, options: LoadOptions = {}): Promise<void> {
  if (NVIDIA.has(kindOf(device))) {
    process.env['NVIDIA_TF32_OVERRIDE'] ??= '0';
    process.env['CUDA_DEVICE_ORDER'] ??= 'PCI_BUS_ID';
  }
  if (!isEager(device)) return;
  const { loadBackend } = await import('./tfjs/tfjs-backends.ts');
  await loadBackend(device, options);
}
