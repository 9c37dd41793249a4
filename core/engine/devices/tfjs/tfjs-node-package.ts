import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { packagePath, scriptPath } from '../../../installation/package-path.ts';
import type { Device } from '../../../options/devices.ts';
import type { Obstacle } from '../device-unavailable-error.ts';

export type TfjsNodeDevice = Extract<Device, 'tfjs-node' | 'tfjs-node-gpu'>;

/** Target folder of scripts/install-tfjs-node.sh, apart from node_modules because `npm ci` wipes that. */
const TFJS_NODE_FOLDER = packagePath('.tfjs-node');

/** Error for a missing package of a device, with the command that installs it. */
export function tfjsNodeMissing(device: TfjsNodeDevice): Obstacle {
  const hint = `run ${scriptPath('install-tfjs-node.sh')} ${device === 'tfjs-node' ? 'cpu' : 'gpu'}`;
  return { reason: `@tensorflow/${device} is not installed`, hint };
}

/**
 * Finds the folder of the installed package, in the project's node_modules or in the script's folder. Returns null if
 * it is in neither, or has no compiled addon because the package's install script did not run.
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
