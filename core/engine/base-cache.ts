import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createRuntime } from '../engine/create-runtime.ts';
import type { Device } from '../options/devices.ts';
import { openDevice } from '../engine/devices/open-device.ts';
import type { PrecisionSetting } from '../options/precisions.ts';
import { isLayerMatrix } from '../engine/int8/inputs.ts';
import { choosePrecision, int8Of, type ChoiceOptions } from '../engine/int8/choose-precision.ts';
import type { PrecisionChoice } from '../engine/int8/precision-choice.ts';
import { EngineCache } from '../engine/cache/engine-cache.ts';
import type { Runtime } from '../engine/runtime.ts';
import { FormatError } from '../formats/errors.ts';
import { openBaseModel, type OpenBaseModel } from '../formats/hugging-face/hugging-face-model.ts';
import { loadTokenizer, type Tokenizer } from '../formats/tokenizer/tokenizer.ts';
import type { BaseModel } from '../models/base-model.ts';
import { tokenizerHash } from '../formats/tokenizer/tokenizer-files.ts';

export interface BaseCacheOptions {
  /** What computes. Default `cpu`. */
  readonly device?: Device;
  /** What the base's matrices are kept in. Default `f32`. */
  readonly precision?: PrecisionSetting;
  /** Default: one a core. */
  readonly threads?: number | null;
  /** Folder with compiled graphs of earlier processes. Default: none. */
  readonly graphCacheDir?: string | null;
  /** Hears of each base that is loaded. */
  readonly onLoad?: ((base: LoadedBase) => void) | undefined;
  /** Base models kept loaded. Default 2: the old version and the new one. */
  readonly capacity?: number;
}

/** A base model, ready to compute with. */
export interface LoadedBase {
  /** Real path of its folder. */
  readonly folder: string;
  readonly model: BaseModel;
  readonly tokenizer: Tokenizer;
  /** SHA-256 of tokenizer.json's text. */
  readonly tokenizerHash: string;
  readonly runtime: Runtime;
  /** What its matrices are computed in, and why. */
  readonly precision: PrecisionChoice;
}

/** With its files, which may be read again until it is released. */
interface OpenBase extends LoadedBase {
  readonly model: OpenBaseModel;
}

/**
 * What a process keeps warm between jobs: base models with their tokenizers and runtimes (and so their compiled
 * graphs), by folder. A folder whose files were replaced is loaded anew. The one unused for longest goes first.
 */
export class BaseCache {
  readonly #options: BaseCacheOptions;
  readonly #cache: EngineCache | null;
  /** In order of use, oldest first. */
  readonly #bases = new Map<string, Promise<OpenBase>>();

  constructor(options: BaseCacheOptions = {}) {
    this.#options = options;
    const { graphCacheDir = null } = options;
    this.#cache = graphCacheDir === null ? null : new EngineCache(graphCacheDir);
  }

  /**
   * The base model of a folder, loaded if it is not yet.
   * @throws FormatError where the folder does not hold a model and tokenizer.json that can be used
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
    // What is rounded to 8 bits is not needed a second time in float32.
    const rounded = device === 'cpu' && (precision === 'int8' || precision === 'auto');
    const model = await openBaseModel(folder, rounded ? isLayerMatrix : () => false);
    try {
      const ready = await this.#makeReady(model, tokenizer);
      const loaded = { folder: await realpath(folder), model, tokenizer, tokenizerHash: tokenizerHash(text), ...ready };
      this.#options.onLoad?.(loaded);
      return loaded;
    } catch (error) {
      await model.close();
      throw error;
    }
  }

  async #makeReady(model: BaseModel, tokenizer: Tokenizer): Promise<Pick<LoadedBase, 'runtime' | 'precision'>> {
    if (tokenizer.vocabSize > model.config.vocabSize) {
      const message = `has ids up to ${tokenizer.vocabSize - 1}, the model's vocabulary has ${model.config.vocabSize}`;
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
    while (this.#bases.size > (this.#options.capacity ?? 2)) {
      const [oldest, base] = this.#bases.entries().next().value!;
      this.#bases.delete(oldest);
      await release(await base);
    }
  }
}

async function release({ runtime, model }: OpenBase): Promise<void> {
  await runtime.dispose();
  await model.close();
}

/** Path, and name, size and time of change of every file: another content gives another stamp. */
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
