import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { packagePath, scriptPath } from '../../../installation/package-path.ts';
import type { Device } from '../../../options/devices.ts';
import type { Obstacle } from '../device-unavailable-error.ts';

export type TfjsNodeDevice = Extract<Device, 'tfjs-node' | 'tfjs-node-gpu'>;

/**
 * Folder into which scripts/install-tfjs-node.sh installs; it lies outside node_modules because `npm ci` empties that
 * folder.
 */
const TFJS_NODE_FOLDER = packagePath('.tfjs-node');

/** Returns the obstacle that a device's package is not installed, with the command that installs the package. */
export function tfjsNodeMissing(device: TfjsNodeDevice): Obstacle {
  const hint = `run ${scriptPath('install-tfjs-node.sh')} ${device === 'tfjs-node' ? 'cpu' : 'gpu'}`;
  return { reason: `@tensorflow/${device} is not installed`, hint };
}

/**
 * Finds the folder of a device's installed package, in the project's node_modules or in {@link TFJS_NODE_FOLDER}.
 * Returns null if the package is in neither, or has no compiled addon because its install script did not run.
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
