import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs';
import type { EagerDevice } from './device.ts';
import { DeviceUnavailableError } from './device-unavailable-error.ts';

/** Names of the tfjs backends that the eager devices stand for. */
export const BACKEND_OF: Readonly<Record<EagerDevice, string>> = {
  'tfjs-cpu': 'cpu',
  'tfjs-wasm': 'wasm',
  'tfjs-node': 'tensorflow',
  'tfjs-node-gpu': 'tensorflow',
};

/** Where scripts/install-tfjs-node.sh puts the package: a folder of its own, which `npm ci` does not wipe. */
export const TFJS_NODE_FOLDER = path.join(import.meta.dirname, '../../../.tfjs-node');

type TfjsNodeDevice = 'tfjs-node' | 'tfjs-node-gpu';

/** The command that installs a device's package. */
export function installCommand(device: TfjsNodeDevice): string {
  return `scripts/install-tfjs-node.sh ${device === 'tfjs-node' ? 'cpu' : 'gpu'}`;
}

/** Entry of the installed package, in node_modules or in the script's folder; null where it is in neither. */
export function findTfjsNode(device: TfjsNodeDevice): string | null {
  const name = `@tensorflow/${device}`;
  const folders = [import.meta.dirname, TFJS_NODE_FOLDER];
  for (const folder of folders) {
    try {
      const manifest = createRequire(path.join(folder, 'from.js')).resolve(`${name}/package.json`);
      // The package without its addon: an installation whose script did not run.
      if (existsSync(path.join(path.dirname(manifest), 'lib'))) return path.dirname(manifest);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return null;
}

export interface LoadOptions {
  /** Threads of one operator, where the backend can be told. Default: its own. */
  readonly threads?: number | undefined;
}

/**
 * Makes an eager device's backend known to tfjs; nothing of it is loaded before. tfjs keeps one engine a process
 * whatever copy of it a backend brings along.
 * @throws DeviceUnavailableError where its package is not installed
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
  if (folder === null) {
    const hint = `install it: ${installCommand(device)}`;
    throw new DeviceUnavailableError(device, { reason: `@tensorflow/${device} is not installed`, hint });
  }
  // Nearly every op of tfjs-node 4.22 calls it, and Node 23 removed it.
  const legacy = util as unknown as { isNullOrUndefined?: (value: unknown) => boolean };
  legacy.isNullOrUndefined ??= (value) => value === null || value === undefined;
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  if (threads !== undefined) process.env['TF_NUM_INTRAOP_THREADS'] ??= String(threads);
  createRequire(import.meta.url)(folder);
}
