import { availableParallelism } from 'node:os';
import type { TokenizeOptions } from '../core/data/tokenize.ts';
import type { BaseCache, LoadedBase } from '../core/engine/base-cache.ts';
import type { Device } from '../core/options/devices.ts';
import type { MetricName } from '../core/options/metrics.ts';
import { graphCacheDir } from '../src/config/graph-cache-dir.ts';
import type { CommonOptions } from './options/common-options.ts';

/**
 * Gives `use` a cache of bases on the command's device, and disposes of it whatever happens. A line on stderr names the
 * device.
 * @throws DeviceUnavailableError if the device that was asked for does not work here
 */
export async function withBases<T>(options: CommonOptions, use: (bases: BaseCache) => Promise<T>): Promise<T> {
  const { BaseCache } = await import('../core/engine/base-cache.ts');
  const { precision } = options;
  const device = await announceDevice(options);
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

/** Chooses the device; a line on stderr says which one and why. */
async function announceDevice({ device: choice, precision }: CommonOptions): Promise<Device> {
  const { chooseDevice } = await import('../core/engine/devices/choose-device.ts');
  const { device, reason } = await chooseDevice(choice, { precision });
  process.stderr.write(`device ${device}: ${reason}\n`);
  return device;
}

/** How rows are made into tokens, besides the tokenizer. */
type RowFormatting = Pick<TokenizeOptions, 'appendEos' | 'maxLength'>;

/** Loads the rows of a JSONL file as tokens, and the choices of the task. A line on stderr says which rows are too long. */
export async function loadExamples(base: LoadedBase, path: string, format: RowFormatting = {}) {
  const { loadDataset } = await import('../core/data/dataset.ts');
  const { findChoices } = await import('../core/data/choices.ts');
  const { tokenizeRows } = await import('../core/data/tokenize.ts');
  const { lengthWarning } = await import('../core/data/lengths.ts');
  const rows = await loadDataset(path);
  const options = { tokenizer: base.tokenizer, config: base.model.config, ...format };
  const examples = tokenizeRows(rows, options);
  const warning = lengthWarning('', examples, options);
  if (warning !== null) process.stderr.write(`warning: ${path}: ${warning}\n`);
  return { rows, examples, choices: findChoices(rows, options) };
}

/** Returns the metric of a task if none is given: accuracy if it has choices, otherwise exact match. */
export function defaultMetric(choices: object | null): MetricName {
  return choices ? 'accuracy' : 'exact_match';
}
