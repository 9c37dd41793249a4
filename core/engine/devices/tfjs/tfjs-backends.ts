import { createRequire } from 'node:module';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { selectBackend } from '../../eager/select-backend.ts';
import { BACKEND_OF, type EagerDevice } from '../../../options/devices.ts';
import { DeviceUnavailableError } from '../device-unavailable-error.ts';
import { findTfjsNode, tfjsNodeMissing, type TfjsNodeDevice } from './tfjs-node-package.ts';

export interface LoadOptions {
  /** Number of threads of one operator, for a backend with such a setting. Default: the backend's own choice. */
  readonly threads?: number | undefined;
}

/**
 * Loads an eager device's backend and makes it tfjs' current one. tfjs has one engine in a process, even if a backend
 * brings its own copy of tfjs.
 * @throws DeviceUnavailableError if the backend's package is not installed
 */
export async function loadBackend(device: EagerDevice, options: LoadOptions = {}): Promise<void> {
  switch (device) {
    case 'tfjs-cpu':
      return;
    case 'tfjs-wasm':
      await import('@tensorflow/tfjs-backend-wasm');
      await tf.setBackend(BACKEND_OF[device]);
      return;
    case 'tfjs-node':
    case 'tfjs-node-gpu':
      return loadTfjsNode(device, options);
  }
}

function loadTfjsNode(device: TfjsNodeDevice, { threads }: LoadOptions): void {
  const folder = findTfjsNode(device);
  if (folder === null) throw new DeviceUnavailableError(device, tfjsNodeMissing(device));
  // Nearly every op of tfjs-node 4.22 calls util.isNullOrUndefined, which Node 23 removed.
  const legacy = util as unknown as { isNullOrUndefined?: (value: unknown) => boolean };
  legacy.isNullOrUndefined ??= (value) => value === null || value === undefined;
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  if (threads !== undefined) process.env['TF_NUM_INTRAOP_THREADS'] ??= String(threads);
  createRequire(import.meta.url)(folder);
  selectBackend(BACKEND_OF[device]);
}
