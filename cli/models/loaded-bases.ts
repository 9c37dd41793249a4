import { availableParallelism } from 'node:os';
import type { LoadedRow } from '../../core/data/dataset.ts';
import type { TokenizedExample } from '../../core/data/example.ts';
import type { TokenizeOptions } from '../../core/data/tokenize.ts';
import type { BaseCache, LoadedBase } from '../../core/engine/base-cache.ts';
import type { Device } from '../../core/options/devices.ts';
import type { MetricName } from '../../core/options/metrics.ts';
import { loadSettings } from '../../src/platform/config/config.ts';
import { COMPUTE } from '../../src/platform/config/settings/compute.ts';
import type { CommonOptions } from '../options/common-options.ts';

/** Settings of the computation that have no option and come only from the environment. */
const MODEL_SETTINGS = {
  graphCacheDir: COMPUTE.graphCacheDir,
  int8CacheGb: COMPUTE.int8CacheGb,
  memoryBytes: COMPUTE.memoryBytes,
};

/** Options of a command that needs loaded bases. */
export interface BasesOptions extends CommonOptions {
  /** Number of bases that stay in memory. Default: 2. */
  readonly capacity?: number;
}

/**
 * Calls `use` with a cache of bases on the command's device, and disposes of the cache in any case. A line on stderr
 * names the device.
 * @throws DeviceUnavailableError if the device that was asked for does not work here
 */
export async function withBases<T>(options: BasesOptions, use: (bases: BaseCache) => Promise<T>): Promise<T> {
  const { BaseCache } = await import('../../core/engine/base-cache.ts');
  const { availableMemory } = await import('../../core/engine/memory/process-memory.ts');
  const { precision, capacity } = options;
  const { graphCacheDir, int8CacheGb, memoryBytes } = loadSettings(MODEL_SETTINGS, process.env);
  const device = await announceDevice(options);
  const threads = options.threads ?? availableParallelism();
  const memory = () => availableMemory(memoryBytes);
  const bases = new BaseCache({
    device,
    precision,
    threads,
    capacity,
    graphCacheDir,
    int8CacheBytes: int8CacheGb * 2 ** 30,
    memory,
    onLoad: precision === 'auto' || precision === 'int8' ? announcePrecision : undefined,
  });
  try {
    return await use(bases);
  } finally {
    await bases.dispose();
  }
}

function announcePrecision({ folder, precision }: LoadedBase): void {
  process.stderr.write(`${folder} in ${precision.precision}: ${precision.reason}\n`);
  if (precision.warning !== null) process.stderr.write(`warning: ${precision.warning}\n`);
}

/** Chooses the device, and says on stderr which one it is and why. */
async function announceDevice({ device: choice, precision }: CommonOptions): Promise<Device> {
  const { chooseDevice } = await import('../../core/engine/devices/choose-device.ts');
  const { device, reason } = await chooseDevice(choice, { precision });
  process.stderr.write(`device ${device}: ${reason}\n`);
  return device;
}

/** Settings for turning rows into tokens, besides the tokenizer. */
type RowFormatting = Pick<TokenizeOptions, 'appendEos' | 'maxLength'>;

/**
 * Loads the rows of a JSONL file, all with completions, as tokens, and finds the choices of the task. Warns on stderr
 * of rows that are too long.
 */
export async function loadExamples(base: LoadedBase, path: string, format: RowFormatting = {}) {
  const { loadDataset } = await import('../../core/data/dataset.ts');
  const { findChoices } = await import('../../core/data/choices.ts');
  const rows = await loadDataset(path);
  const { examples, options } = await tokenizeLoaded(base, path, rows, format);
  return { rows, examples, choices: findChoices(rows, options) };
}

async function tokenizeLoaded(base: LoadedBase, path: string, rows: readonly LoadedRow[], format: RowFormatting = {}) {
  const { tokenizeRows } = await import('../../core/data/tokenize.ts');
  const options = { tokenizer: base.tokenizer, config: base.model.config, ...format };
  const examples = tokenizeRows(rows, options);
  await warnOfLength(path, examples, options);
  return { examples, options };
}

async function warnOfLength(path: string, examples: readonly TokenizedExample[], options: TokenizeOptions) {
  const { lengthWarning } = await import('../../core/data/lengths.ts');
  const warning = lengthWarning('', examples, options);
  if (warning !== null) process.stderr.write(`warning: ${path}: ${warning}\n`);
}

/**
 * Loads the rows of a JSONL file, with completions or as prompts alone, as tokens. Warns on stderr of rows that are too
 * long.
 */
export async function loadPromptsOf(base: LoadedBase, path: string): Promise<readonly TokenizedExample[]> {
  const { areAnswered, loadGivenDataset } = await import('../../core/data/dataset.ts');
  const { tokenizeOpenPrompts } = await import('../../core/data/open-prompts.ts');
  const rows = await loadGivenDataset(path);
  if (areAnswered(rows)) return (await tokenizeLoaded(base, path, rows)).examples;
  const options = { tokenizer: base.tokenizer, config: base.model.config };
  const examples = tokenizeOpenPrompts(rows, options);
  await warnOfLength(path, examples, options);
  return examples;
}

/** Returns the metric of a task if none is given: accuracy if it has choices, otherwise exact match. */
export function defaultMetric(choices: object | null): MetricName {
  return choices ? 'accuracy' : 'exact_match';
}
