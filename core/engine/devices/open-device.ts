import { isEager, type Device } from '../../options/devices.ts';
import type { LoadOptions } from './tfjs/tfjs-backends.ts';

const NVIDIA: ReadonlySet<Device> = new Set(['cuda', 'tfjs-node-gpu']);

/**
 * Loads what a device needs before anything runs on it. On NVIDIA cards this also keeps float32 products in float32; from
 * Ampere on, ONNX Runtime and TensorFlow would otherwise round their operands to TF32's ten bits.
 * @throws DeviceUnavailableError where a package is not installed
 */
export async function openDevice(device: Device, options: LoadOptions = {}): Promise<void> {
  if (NVIDIA.has(device)) process.env['NVIDIA_TF32_OVERRIDE'] ??= '0';
  if (!isEager(device)) return;
  const { loadBackend } = await import('./tfjs/tfjs-backends.ts');
  await loadBackend(device, options);
}
