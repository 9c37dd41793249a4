import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { FormatError } from '../formats/errors.ts';
import { openBaseModel, type OpenBaseModel } from '../formats/hugging-face/hugging-face-model.ts';
import { tokenizerHash as hashTokenizer } from '../formats/tokenizer/tokenizer-files.ts';
import { readModelConfig } from '../formats/hugging-face/model-weights.ts';
import { loadTokenizer, type Tokenizer } from '../formats/tokenizer/tokenizer.ts';
import type { ModelConfig } from '../models/config/model-config.ts';
import type { BaseModel } from '../models/base-model.ts';
import type { Device } from '../options/devices.ts';
import type { PrecisionSetting } from '../options/precisions.ts';
import { EngineCache } from './cache/engine-cache.ts';
import { createRuntime } from './create-runtime.ts';
import { openDevice } from './devices/open-device.ts';
import { choosePrecision, int8Of, type ChoiceOptions } from './int8/choose-precision.ts';
import { isLayerMatrix } from './int8/inputs.ts';
import type { PrecisionChoice } from './int8/precision-choice.ts';
import { MemoryShares } from './memory/memory-shares.ts';
import type { AvailableMemory } from './memory/process-memory.ts';
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
  /**
   * Says how much memory the process may take. Where two bases do not fit, the one unused for longest is released before
   * another is loaded. Default: no limit.
   */
  readonly memory?: (() => AvailableMemory) | undefined;
}

/** What is known of a base without its weights. */
export interface DescribedBase {
  /** Real path of the base model's folder. */
  readonly folder: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** SHA-256 of tokenizer.json's text. */
  readonly tokenizerHash: string;
}

const UNLIMITED: AvailableMemory = { bytes: Infinity, source: 'no limit' };

/** A base model in memory, with its tokenizer and its runtime. */
export interface LoadedBase {
  /** Real path of the base model's folder. */
  readonly folder: string;
  readonly model: BaseModel;
  readonly tokenizer: Tokenizer;
  /** SHA-256 of tokenizer.json's text. */
  readonly tokenizerHash: string;
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
 * folder whose files have changed is loaded again. Above the capacity or the memory, the least recently used base is
 * released.
 */
export class BaseCache {
  readonly #options: BaseCacheOptions;
  readonly #cache: EngineCache | null;
  /** By the stamp of the folder, least recently used first. */
  readonly #bases = new Map<string, Promise<OpenBase>>();
  /** How the memory is shared between bases and what is computed with them. */
  readonly memory: MemoryShares;

  constructor(options: BaseCacheOptions = {}) {
    this.#options = options;
    this.memory = new MemoryShares(options.memory ?? (() => UNLIMITED), options.precision ?? 'f32');
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
    const base = known ?? this.#openInRoom(folder, key);
    this.#bases.delete(key);
    this.#bases.set(key, base);
    if (!known) {
      base.catch(() => this.#forget(key));
      await this.#evict();
    }
    return base;
  }

  /**
   * Returns what is known of a folder's base without reading its weights.
   * @throws FormatError
   */
  async describe(folder: string): Promise<DescribedBase> {
    const root = await realpath(folder).catch(() => folder);
    const loaded = await this.#bases.get(await stamp(folder))?.catch(() => null);
    if (loaded) return { ...loaded, config: loaded.model.config };
    const config = await readModelConfig(folder);
    return { folder: root, config, ...(await readTokenizer(folder)) };
  }

  async dispose(): Promise<void> {
    const bases = [...this.#bases.values()];
    this.#bases.clear();
    this.memory.clear();
    for (const base of bases) await release(await base);
  }

  /** Opens a base when those that leave no room for it are released. */
  async #openInRoom(folder: string, key: string): Promise<OpenBase> {
    const config = await readModelConfig(folder);
    const others = [...this.#bases.keys()].filter((other) => other !== key);
    for (const surplus of this.memory.claim(key, config, others)) {
      const base = this.#bases.get(surplus);
      this.#bases.delete(surplus);
      if (base) await base.then(release, () => undefined);
    }
    const loaded = await this.#open(folder);
    this.memory.follow(key, { runtime: loaded.runtime, precision: loaded.precision.precision });
    return loaded;
  }

  #forget(key: string): void {
    this.#bases.delete(key);
    this.memory.release(key);
  }

  async #open(folder: string): Promise<OpenBase> {
    const { tokenizer, tokenizerHash } = await readTokenizer(folder);
    const { device = 'cpu', precision = 'f32' } = this.#options;
    // Matrices that are rounded to 8 bits need not stay in memory in float32, too.
    const rounded = device === 'cpu' && (precision === 'int8' || precision === 'auto');
    const model = await openBaseModel(folder, rounded ? isLayerMatrix : () => false);
    try {
      const ready = await this.#makeReady(model, tokenizer);
      const loaded = { folder: await realpath(folder), model, tokenizer, tokenizerHash, ...ready };
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
    for (const [key] of evicted) this.#forget(key);
    for (const [, base] of evicted) await release(await base);
  }
}

async function readTokenizer(folder: string): Promise<Pick<DescribedBase, 'tokenizer' | 'tokenizerHash'>> {
  const tokenizer = await loadTokenizer(folder);
  const text = await readFile(join(folder, 'tokenizer.json'), 'utf8');
  return { tokenizer, tokenizerHash: hashTokenizer(text) };
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
