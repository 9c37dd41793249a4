import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Device } from '../../../options/devices.ts';

export type TfjsNodeDevice = Extract<Device, 'tfjs-node' | 'tfjs-node-gpu'>;

/** Where scripts/install-tfjs-node.sh puts the package: a folder of its own, which `npm ci` leaves alone. */
const TFJS_NODE_FOLDER = path.join(import.meta.dirname, '../../../../.tfjs-node');

/** Returns the command that installs a device's package. */
export function installCommand(device: TfjsNodeDevice): string {
  return `scripts/install-tfjs-node.sh ${device === 'tfjs-node' ? 'cpu' : 'gpu'}`;
}

/**
 * Finds the folder of the installed package, in the project's node_modules or in the script's folder. Returns null where it
 * is in neither, or has no compiled addon because the package's install script did not run.
 */
export function findTfjsNode(device: TfjsNodeDevice): string | null {
  for (const from of [import.meta.dirname, TFJS_NODE_FOLDER]) {
    const folder = packageFolder(`@tensorflow/${device}`, from);
    if (folder !== null && existsSync(path.join(folder, 'lib'))) return folder;
  }
  return null;
}

function packageFolder(name: string, from: string): string | null {
  try {
    return path.dirname(createRequire(path.join(from, 'from.js')).resolve(`${name}/package.json`));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    return null;
  }
}
