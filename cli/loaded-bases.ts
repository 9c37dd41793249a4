import { availableParallelism } from 'node:os';
import { graphCacheDir } from '../src/config/graph-cache-dir.ts';
import type { Device, DeviceChoice } from '../core/options/devices.ts';
import type { PrecisionSetting } from '../core/options/precisions.ts';
import type { LoadedBase, BaseCache } from '../core/engine/base-cache.ts';
import type { MetricName } from '../core/options/metrics.ts';
import type { CommonOptions } from './options/common-options.ts';

/**
 * Opens a bases on the command's device, says which one it is on stderr, and closes it whatever happens.
 * @throws DeviceUnavailableError where the device that was asked for does not work here
 */
export async function withBases<T>(options: CommonOptions, use: (bases: BaseCache) => Promise<T>): Promise<T> {
  const { BaseCache } = await import('../core/engine/base-cache.ts');
  const { precision } = options;
  const device = await announceDevice(options.device, precision);
  const threads = options.threads ?? availableParallelism();
  const onLoad = precision === 'auto' ? announcePrecision : undefined;
  const bases = new BaseCache({ device, precision, threads, graphCacheDir: graphCacheDir(process.env), onLoad });
  try {
    return await use(bases);
  } finally {
    await bases.dispose();
  }
}

function announcePrecision({ folder, precision }: LoadedBase): void {
  process.stderr.write(`${folder} in ${precision.precision}: ${precision.reason}\n`);
}

/** The device that is computed on; a line on stderr says which and why. */
export async function announceDevice(choice: DeviceChoice, precision: PrecisionSetting): Promise<Device> {
  const { chooseDevice } = await import('../core/engine/devices/choose-device.ts');
  const { device, reason } = await chooseDevice(choice, { precision });
  process.stderr.write(`device ${device}: ${reason}\n`);
  return device;
}

/** The rows of a JSONL file as tokens, with the task's choices. */
export async function loadExamples(base: LoadedBase, path: string) {
  const { loadDataset } = await import('../core/data/dataset.ts');
  const { findChoices } = await import('../core/data/choices.ts');
  const { tokenizeRows } = await import('../core/data/task-data.ts');
  const rows = await loadDataset(path);
  const examples = tokenizeRows(rows, { tokenizer: base.tokenizer, config: base.model.config });
  return { rows, examples, choices: findChoices(rows, base.tokenizer) };
}

/** The metric that suits a task where none is asked for: accuracy for a small set of choices, else exact match. */
export function defaultMetric(choices: object | null): MetricName {
  return choices ? 'accuracy' : 'exact_match';
}
