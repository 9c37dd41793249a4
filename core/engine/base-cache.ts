import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { FormatError } from '../formats/errors.ts';
import { readEndOfTextIds } from '../formats/hugging-face/end-of-text.ts';
import { openBaseModel, type OpenBaseModel } from '../formats/hugging-face/hugging-face-model.ts';
import { tokenizerHash } from '../formats/tokenizer/tokenizer-files.ts';
import { loadTokenizer, type Tokenizer } from '../formats/tokenizer/tokenizer.ts';
import type { BaseModel } from '../models/base-model.ts';
import type { Device } from '../options/devices.ts';
import type { PrecisionSetting } from '../options/precisions.ts';
import { EngineCache } from './cache/engine-cache.ts';
import { createRuntime } from './create-runtime.ts';
import { openDevice } from './devices/open-device.ts';
import { choosePrecision, int8Of, type ChoiceOptions } from './int8/choose-precision.ts';
import { isLayerMatrix } from './int8/inputs.ts';
import type { PrecisionChoice } from './int8/precision-choice.ts';
import type { Runtime } from './runtime.ts';

export interface BaseCacheOptions {
  /** Default: `cpu`. */
  readonly device?: Device;
  /** Default: `f32`. */
  readonly precision?: PrecisionSetting;
  /** Number of threads. Default: one for each core. */
  readonly threads?: number | null;
  /** Folder that keeps compiled graphs for later processes. Default: none. */
  readonly graphCacheDir?: string | null;
  /** Called with each base that was loaded. */
  readonly onLoad?: ((base: LoadedBase) => void) | undefined;
  /** Number of base models that stay loaded. Default: 2, for the old base and the new base. */
  readonly capacity?: number;
}

/** A base model in memory, with its tokenizer and its runtime. */
export interface LoadedBase {
  /** Real path of the base model's folder. */
  readonly folder: string;
  readonly model: BaseModel;
  readonly tokenizer: Tokenizer;
  /** SHA-256 of tokenizer.json's text. */
  readonly tokenizerHash: string;
  /** Tokens after which a text ends. */
  readonly endOfTextIds: readonly number[];
  readonly runtime: Runtime;
  /** The precision of the base's matrices, and the reason for it. */
  readonly precision: PrecisionChoice;
}

/** A loaded base whose files stay open, so that weights can be read again until it is released. */
interface OpenBase extends LoadedBase {
  readonly model: OpenBaseModel;
}

/**
 * Keeps base models loaded between jobs, with their tokenizers and runtimes (and so their compiled graphs), by folder. A
 * folder whose files have changed is loaded again. Above the capacity, the least recently used base is released.
 */
export class BaseCache {
  readonly #options: BaseCacheOptions;
  readonly #cache: EngineCache | null;
  /** By the stamp of the folder, least recently used first. */
  readonly #bases = new Map<string, Promise<OpenBase>>();

  constructor(options: BaseCacheOptions = {}) {
    this.#options = options;
    const { graphCacheDir = null } = options;
    this.#cache = graphCacheDir === null ? null : new EngineCache(graphCacheDir);
  }

  /**
   * Returns the base model of a folder, and loads it first if necessary.
   * @throws FormatError if the folder does not hold a usable model and tokenizer.json, DeviceUnavailableError
   */
  async load(folder: string): Promise<LoadedBase> {
    const key = await stamp(folder);
    const known = this.#bases.get(key);
    const base = known ?? this.#open(folder);
    this.#bases.delete(key);
    this.#bases.set(key, base);
    if (!known) {
      base.catch(() => this.#bases.delete(key));
      await this.#evict();
    }
    return base;
  }

  async dispose(): Promise<void> {
    const bases = [...this.#bases.values()];
    this.#bases.clear();
    for (const base of bases) await release(await base);
  }

  async #open(folder: string): Promise<OpenBase> {
    const tokenizer = await loadTokenizer(folder);
    const text = await readFile(join(folder, 'tokenizer.json'), 'utf8');
    const { device = 'cpu', precision = 'f32' } = this.#options;
    // Matrices that are rounded to 8 bits need not stay in memory in float32, too.
    const rounded = device === 'cpu' && (precision === 'int8' || precision === 'auto');
    const model = await openBaseModel(folder, rounded ? isLayerMatrix : () => false);
    try {
      const ready = await this.#makeReady(model, tokenizer);
      const endOfTextIds = await readEndOfTextIds(folder, model.config, tokenizer);
      const described = { folder: await realpath(folder), tokenizerHash: tokenizerHash(text), endOfTextIds };
      const loaded = { ...described, model, tokenizer, ...ready };
      this.#options.onLoad?.(loaded);
      return loaded;
    } catch (error) {
      await model.close();
      throw error;
    }
  }

  async #makeReady(model: BaseModel, tokenizer: Tokenizer): Promise<Pick<LoadedBase, 'runtime' | 'precision'>> {
    if (tokenizer.vocabSize > model.config.vocabSize) {
      const message = `has ids up to ${tokenizer.vocabSize - 1}, expected less than the model's vocabulary of ${model.config.vocabSize}`;
      throw new FormatError({ code: 'invalid_tokenizer', file: 'tokenizer.json', message });
    }
    const { device = 'cpu' } = this.#options;
    const threads = this.#options.threads ?? undefined;
    await openDevice(device, { threads });
    const cache = this.#cache;
    const precision = await this.#precision({
      base: model,
      tokenizer,
      threads: threads ?? availableParallelism(),
      cache,
    });
    return { precision, runtime: createRuntime({ ...precision, device, base: model, threads, cache }) };
  }

  async #precision(options: ChoiceOptions): Promise<PrecisionChoice> {
    const { device = 'cpu', precision = 'f32' } = this.#options;
    if (precision === 'int8') return int8Of(options);
    if (precision !== 'auto') return { precision, reason: 'asked for' };
    return device === 'cpu' ? choosePrecision(options) : { precision: 'f32', reason: 'only the CPU chooses' };
  }

  async #evict(): Promise<void> {
    const surplus = Math.max(0, this.#bases.size - (this.#options.capacity ?? 2));
    const evicted = [...this.#bases].slice(0, surplus);
    for (const [key] of evicted) this.#bases.delete(key);
    for (const [, base] of evicted) await release(await base);
  }
}

async function release({ runtime, model }: OpenBase): Promise<void> {
  await runtime.dispose();
  await model.close();
}

/** Identifies a folder's content: its path, and the name, size and modification time of every file. */
async function stamp(folder: string): Promise<string> {
  const root = await realpath(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT' && cause.code !== 'ENOTDIR') throw cause;
    throw new FormatError({ code: 'missing_file', file: folder, message: 'folder does not exist', cause });
  });
  const names = await readdir(root).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOTDIR') throw cause;
    throw new FormatError({ code: 'missing_file', file: folder, message: 'is not a folder', cause });
  });
  const files = await Promise.all(
    names.sort().map(async (name) => {
      const { size, mtimeMs } = await stat(join(root, name));
      return [name, size, mtimeMs];
    }),
  );
  return JSON.stringify([root, files]);
}
