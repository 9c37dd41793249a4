import { DEVICE_CHOICE_PATTERN, DEVICE_EXPECTED, type DeviceChoice } from '../../../../core/options/devices.ts';
import { INT8_CACHE_GB, PRECISION_SETTINGS } from '../../../../core/options/precisions.ts';
import { choice, folder, integerBetween, orNull, size, text } from './kinds.ts';
import type { Environment, Settings } from './setting.ts';
import { userCacheFolder } from './user-cache.ts';

/** Settings of a worker's device, memory and compiled graphs. */
export const COMPUTE = {
  device: {
    variable: 'READAPT_DEVICE',
    kind: text<DeviceChoice>(new RegExp(DEVICE_CHOICE_PATTERN), `auto, ${DEVICE_EXPECTED}`),
    default: 'auto',
    help: 'Device that a worker computes on; `auto` is CUDA if it works, and the CPU otherwise.',
    page: 'devices.md',
    readBy: 'worker',
  },
  precision: {
    variable: 'READAPT_PRECISION',
    kind: choice(PRECISION_SETTINGS),
    default: 'auto',
    help:
      "Precision of the base's matrices on the device: `f32`, `f16` (CUDA and WebGPU) or `int8` (CPU); `auto` is " +
      '`int8` if it is measured to be fast and near `f32`, and `f32` if not.',
    page: 'devices.md#precision',
    readBy: 'worker',
  },
  threads: {
    variable: 'READAPT_THREADS',
    kind: integerBetween({ min: 1, max: 1024 }),
    default: null,
    unset: 'one per core',
    help: 'Number of threads of the compiled runtime.',
    readBy: 'worker',
  },
  memoryBytes: {
    variable: 'READAPT_MEMORY',
    kind: size({ min: 2 ** 28, example: '12GiB' }),
    default: null,
    unset: 'what the machine has',
    help: "Memory that a worker's training process or a command may take.",
    page: 'deployment.md#memory',
    readBy: 'worker',
  },
  graphCacheDir: {
    variable: 'READAPT_GRAPH_CACHE',
    kind: orNull('off', folder()),
    // Other users must not be able to write to the folder, because Readapt runs the graphs that it finds there.
    default: (env: Environment): string | null => userCacheFolder(env, 'graphs'),
    unset: '`~/.cache/readapt/graphs`',
    help:
      'Folder of compiled graphs, rounded matrices and evolutions, which several services may share, or `off`; in ' +
      'the image `/var/lib/readapt/graphs`.',
    page: 'engine.md#graph-cache',
    readBy: 'worker',
  },
  int8CacheGb: {
    variable: 'READAPT_INT8_CACHE_GB',
    kind: integerBetween({ min: 0, max: 999_999, unit: 'GiB' }),
    default: String(INT8_CACHE_GB),
    help:
      'Largest size of all rounded matrices in the graph cache, in GiB (`int8/`; 2 bytes for each weight of the ' +
      'layers of a base); 0 keeps none.',
    readBy: 'worker',
  },
} satisfies Settings;
