import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { FormatError } from '../formats/errors.ts';
import { readEndOfTextIds } from '../formats/hugging-face/end-of-text.ts';
import { openBaseModel, type OpenBaseModel } from '../formats/hugging-face/hugging-face-model.ts';
import { readModelConfig } from '../formats/hugging-face/model-weights.ts';
import type { VerifiedFiles } from '../formats/hugging-face/verified-files.ts';
import { tokenizerHash as hashTokenizer } from '../formats/tokenizer/tokenizer-files.ts';
import { loadTokenizer, type Tokenizer } from '../formats/tokenizer/tokenizer.ts';
import type { ModelConfig } from '../models/config/model-config.ts';
import type { BaseModel } from '../models/base-model.ts';
import type { Device } from '../options/devices.ts';
import type { Precision, PrecisionSetting } from '../options/precisions.ts';
import { EngineCache } from './cache/engine-cache.ts';
import { graphKey } from './cache/graph-key.ts';
import { VerifiedModels } from './cache/verified-models.ts';
import { ProgramPool } from './compiled/program-pool.ts';
import { createRuntime } from './create-runtime.ts';
import { openDevice } from './devices/open-device.ts';
import { checkPrecision, supportsPrecision } from './devices/precision.ts';
import { choosePrecision, expectedPrograms, int8Of } from './int8/choose-precision.ts';
import { isHeld, openFloat32, type Float32Options } from './int8/float32-runtime.ts';
import { isLayerMatrix } from './int8/inputs.ts';
import type { Int8Engine } from './int8/int8-engine.ts';
import type { Int8Errors } from './int8/int8-errors.ts';
import type { PrecisionChoice } from './int8/precision-choice.ts';
import { RowErrors } from './int8/row-errors.ts';
import { RoundedStore } from './int8/rounding/rounded-store.ts';
import { countsAsInt8 } from './memory/base-memory.ts';
import { MemoryShares } from './memory/memory-shares.ts';
import type { AvailableMemory } from './memory/process-memory.ts';
import type { Runtime } from './runtime.ts';
import { TracingThread } from './tracer/tracing-thread.ts';

export interface BaseCacheOptions {
  /** Device on which the bases compute. Default: `cpu`. */
  readonly device?: Device;
  /** Precision of the matrices of the bases' layers. Default: `f32`. */
  readonly precision?: PrecisionSetting;
  /** Number of threads that the bases compute with. Default: one for each core. */
  readonly threads?: number | null;
  /**
   * Folder in which compiled graphs, rounded matrices and findings about bases are cached for later processes. Default:
   * none.
   */
  readonly graphCacheDir?: string | null;
  /** Size limit of all rounded matrices in the cache folder, in bytes; 0 keeps none. Default: 4 GiB. */
  readonly int8CacheBytes?: number | undefined;
  /** Function called with each base after it has been loaded. */
  readonly onLoad?: ((base: LoadedBase) => void) | undefined;
  /** Function called with a base's folder when the base is released, once for each time that it was loaded. */
  readonly onRelease?: ((folder: string) => void) | undefined;
  /** Number of base models that stay loaded. Default: 2, for the old base and the new base. */
  readonly capacity?: number;
  /**
   * Function that returns the memory that the process may use. If two bases do not fit into it, the least recently used
   * one is released before another is loaded. Default: no limit.
   */
  readonly memory?: (() => AvailableMemory) | undefined;
}

/** Description of a base: folder, config and tokenizer, but no weights. */
export interface DescribedBase {
  /** Real path of the base model's folder. */
  readonly folder: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** SHA-256 of the text of tokenizer.json. */
  readonly tokenizerHash: string;
  /** Ids of the tokens that end a text. */
  readonly endOfTextIds: readonly number[];
}

const UNLIMITED: AvailableMemory = { bytes: Infinity, source: 'no limit' };

/** A base model in memory, with its tokenizer and its runtime. */
export interface LoadedBase extends Omit<DescribedBase, 'config'> {
  readonly model: BaseModel;
  readonly runtime: Runtime;
  /** Precision of the matrices of the base's layers, and the reason for this choice. */
  readonly precision: PrecisionChoice;
  /** Engine that computes with the matrices of the base's layers in 8 bits, if its precision is int8. */
  readonly int8?: Int8Engine;
}

/** Settings for loading a base and choosing its precision. */
interface Preparation {
  readonly precision: PrecisionSetting;
  /** Whether the matrices of the base's layers stay on disk. */
  readonly onDisk: boolean;
  /**
   * Whether the float32 matrices of the base's layers stay in memory until the base's precision has been chosen and,
   * for int8, the matrices have been rounded.
   */
  readonly holdsMatrices: boolean;
}

/** A loaded base whose files stay open, so that weights can be read again until it is released. */
interface OpenBase extends LoadedBase {
  readonly model: OpenBaseModel;
}

/**
 * Cache of loaded base models with their tokenizers and runtimes (and so their compiled graphs), by folder. A folder
 * whose files have changed is loaded again. If the capacity or the memory is exceeded, the least recently used base is
 * released.
 */
export class BaseCache {
  readonly #options: BaseCacheOptions;
  readonly #cache: EngineCache | null;
  readonly #store: RoundedStore | null;
  readonly #rowErrors: RowErrors;
  readonly #pool = new ProgramPool();
  readonly #tracer = new TracingThread();
  /** Folder in which results that are costly to compute are kept for later processes; null if there is none. */
  readonly cacheFolder: string | null;
  /** Record of the model files that this or another process has verified; null without a cache folder. */
  readonly verified: VerifiedFiles | null;
  /**
   * Loaded bases, keyed by the precision and a stamp of the folder's files; the least recently used one comes first.
   */
  readonly #bases = new Map<string, Promise<OpenBase>>();
  /** Division of the process's memory between the bases and the computations with them. */
  readonly memory: MemoryShares;

  constructor(options: BaseCacheOptions = {}) {
    this.#options = options;
    this.memory = new MemoryShares(options.memory ?? (() => UNLIMITED));
    const { graphCacheDir = null, int8CacheBytes } = options;
    this.cacheFolder = graphCacheDir;
    this.#cache = graphCacheDir === null ? null : new EngineCache(graphCacheDir);
    this.#rowErrors = new RowErrors(graphCacheDir && join(graphCacheDir, 'rows'));
    this.verified = graphCacheDir === null ? null : new VerifiedModels(join(graphCacheDir, 'verified'));
    this.#store = graphCacheDir === null ? null : new RoundedStore(join(graphCacheDir, 'int8'), int8CacheBytes);
  }

  /**
   * Returns the base model of a folder, and loads the model first if necessary. If the setting `auto` has chosen
   * float32 for a base and the memory no longer suffices for float32, the base is loaded in int8.
   * @param precision precision of the base's matrices; default: the setting in the cache's options
   * @throws FormatError if the folder does not hold a usable model and tokenizer.json
   * @throws DeviceUnavailableError if the device does not support the precision
   */
  async load(folder: string, precision?: Precision): Promise<LoadedBase> {
    const key = await stamp(folder);
    if (precision !== undefined) {
      const chosen = await this.#bases.get(keyOf(key, this.#setting))?.catch(() => null);
      if (chosen?.precision.precision !== precision) return this.#load(folder, key, precision);
    }
    const base = await this.#load(folder, key, this.#setting);
    const outgrown = base.precision.precision === 'f32' && this.#mayBeInt8(base.model.config);
    return outgrown && !this.memory.holdsFloat32(base.model.config) ? this.#load(folder, key, 'int8') : base;
  }

  /** Precision of the bases. `auto` becomes float32 on devices other than the CPU. */
  get precision(): PrecisionSetting {
    return this.#setting === 'auto' && (this.#options.device ?? 'cpu') !== 'cpu' ? 'f32' : this.#setting;
  }

  #mayBeInt8(config: ModelConfig): boolean {
    return this.precision === 'auto' && countsAsInt8(config, 'auto');
  }

  /** Whether the cache's device can compute with bases in this precision. */
  supports(precision: Precision): boolean {
    return supportsPrecision(this.#options.device ?? 'cpu', precision);
  }

  /**
   * Calls `use` with a float32 runtime of a loaded base that normally computes in 8 bits. If enough memory is free, the
   * float32 matrices of all layers are read into memory. Otherwise only the matrices of some layers are in memory at a
   * time; training cannot do this, because it needs all layers at once. If only a few passes are needed, large matrices
   * are read in parts even if enough memory is free.
   * @returns the result of `use`; null if the memory does not suffice
   */
  async withFloat32<T>(
    { model, int8 }: LoadedBase,
    use: (exact: Runtime) => Promise<T>,
    passes: Float32Options['passes'] = 'many',
  ): Promise<T | null> {
    // A caller that trains in float32 computes no gradients in 8 bits.
    if (passes === 'training') await int8?.releaseBackward();
    const threads = this.#options.threads ?? availableParallelism();
    const exact = openFloat32(model, { ...this.#shared, threads, passes, free: this.memory.free });
    if (exact === null) return null;
    try {
      return await use(exact);
    } finally {
      await exact.dispose();
    }
  }

  /**
   * Returns the measured errors of int8 against float32 for a base and a kind of rows. If no process has measured these
   * errors before, `compare` measures them.
   */
  rowErrors(
    base: LoadedBase,
    kind: string,
    compare: () => Promise<Partial<Int8Errors> | null>,
  ): Promise<Partial<Int8Errors> | null> {
    return this.#rowErrors.of(base.model, kind, compare);
  }

  /** Whether a base that was loaded earlier is still in the cache. */
  async holds(base: LoadedBase): Promise<boolean> {
    const held = await Promise.all([...this.#bases.values()].map((one) => one.catch(() => null)));
    return held.some((one) => one === base);
  }

  /** Whether the precision setting is `auto`, so that the cache chooses a precision for each base. */
  get chooses(): boolean {
    return this.#setting === 'auto';
  }

  get #setting(): PrecisionSetting {
    return this.#options.precision ?? 'f32';
  }

  async #load(folder: string, stamped: string, precision: PrecisionSetting): Promise<LoadedBase> {
    const key = keyOf(stamped, precision);
    const known = this.#bases.get(key);
    const base = known ?? this.#openInRoom(folder, key, precision);
    this.#bases.delete(key);
    this.#bases.set(key, base);
    if (!known) {
      base.catch(() => this.#forget(key));
      await this.#evict();
    }
    return base;
  }

  /**
   * Returns the description of a folder's base without reading its weights.
   * @throws FormatError
   */
  async describe(folder: string): Promise<DescribedBase> {
    const root = await realpath(folder).catch(() => folder);
    const loaded = await this.#bases.get(keyOf(await stamp(folder), this.#setting))?.catch(() => null);
    if (loaded) return { ...loaded, config: loaded.model.config };
    const config = await readModelConfig(folder);
    const { tokenizer, tokenizerHash } = await readTokenizer(folder);
    const endOfTextIds = await readEndOfTextIds(folder, config, tokenizer);
    return { folder: root, config, tokenizer, tokenizerHash, endOfTextIds };
  }

  async dispose(): Promise<void> {
    const bases = [...this.#bases.values()];
    this.#bases.clear();
    this.memory.clear();
    for (const base of bases) await this.#release(await base);
    await this.#tracer.close();
  }

  /** Resources shared by the runtimes of all bases. */
  get #shared() {
    return { cache: this.#cache, pool: this.#pool, tracer: this.#tracer };
  }

  /** Opens the base of a folder, after releasing the bases that leave too little memory for it. */
  async #openInRoom(folder: string, key: string, precision: PrecisionSetting): Promise<OpenBase> {
    const config = await readModelConfig(folder);
    const others = [...this.#bases.keys()].filter((other) => other !== key);
    const share = { config, precision: precision === 'auto' ? this.precision : precision };
    for (const surplus of this.memory.claim(key, share, others)) await this.#close(surplus);
    // Matrices that are rounded to 8 bits need not stay in memory in float32 as well.
    const onDisk = (this.#options.device ?? 'cpu') === 'cpu' && (precision === 'int8' || precision === 'auto');
    const preparation = { precision, onDisk, holdsMatrices: onDisk && isHeld(config, this.memory.free) };
    await this.#expectPrograms(config, preparation);
    const loaded = await this.#open(folder, preparation);
    this.memory.follow(key, { runtime: loaded.runtime, precision: loaded.precision.precision });
    return loaded;
  }

  /**
   * Starts to trace the programs that the comparison of int8 with float32 will run, so that they are traced while
   * weights are read.
   */
  async #expectPrograms(config: ModelConfig, { precision, onDisk, holdsMatrices }: Preparation): Promise<void> {
    if (!onDisk) return;
    for (const program of expectedPrograms(config, precision === 'int8' ? 'int8' : 'auto', holdsMatrices)) {
      const isKept = await this.#cache?.has(graphKey(program.spec, program.provider));
      if (!isKept) this.#tracer.expect([program]);
    }
  }

  async #close(key: string): Promise<void> {
    const base = this.#bases.get(key);
    this.#bases.delete(key);
    await base?.then(
      (opened) => this.#release(opened),
      () => undefined,
    );
  }

  #forget(key: string): void {
    this.#bases.delete(key);
    this.memory.release(key);
  }

  async #open(folder: string, preparation: Preparation): Promise<OpenBase> {
    const { tokenizer, tokenizerHash } = await readTokenizer(folder);
    const { onDisk, holdsMatrices } = preparation;
    const options = { verified: this.verified, cacheRead: holdsMatrices };
    const model = await openBaseModel(folder, onDisk ? isLayerMatrix : () => false, options);
    try {
      const ready = await this.#makeReady(model, tokenizer, preparation);
      model.evict();
      const endOfTextIds = await readEndOfTextIds(folder, model.config, tokenizer);
      const loaded = { folder: await realpath(folder), model, tokenizer, tokenizerHash, endOfTextIds, ...ready };
      this.#options.onLoad?.(loaded);
      return loaded;
    } catch (error) {
      await model.close();
      throw error;
    }
  }

  async #makeReady(
    model: BaseModel,
    tokenizer: Tokenizer,
    preparation: Preparation,
  ): Promise<Pick<LoadedBase, 'runtime' | 'precision' | 'int8'>> {
    if (tokenizer.vocabSize > model.config.vocabSize) {
      const expected = `less than the model's vocabulary of ${model.config.vocabSize}`;
      const message = `has ids up to ${tokenizer.vocabSize - 1}, expected ${expected}`;
      throw new FormatError({ code: 'invalid_tokenizer', file: 'tokenizer.json', message });
    }
    const { device = 'cpu' } = this.#options;
    const threads = this.#options.threads ?? undefined;
    await openDevice(device, { threads });
    const { choice, engine } = await this.#choose(model, tokenizer, preparation);
    if (engine) return { precision: choice, runtime: engine.runtime, int8: engine };
    const { precision } = choice;
    return {
      precision: choice,
      runtime: createRuntime({ ...this.#shared, precision, device, base: model, threads }),
    };
  }

  async #choose(
    base: BaseModel,
    tokenizer: Tokenizer,
    { precision, holdsMatrices }: Preparation,
  ): Promise<{ choice: PrecisionChoice; engine: Int8Engine | null }> {
    const { device = 'cpu' } = this.#options;
    const threads = this.#options.threads ?? availableParallelism();
    const free = () => this.memory.free;
    const options = { ...this.#shared, base, tokenizer, threads, store: this.#store, free, holdsMatrices };
    checkPrecision(device, precision);
    if (precision === 'int8') return int8Of(options);
    if (precision === 'auto' && device === 'cpu') {
      return choosePrecision({ ...options, holdsFloat32: this.memory.holdsFloat32(base.config) });
    }
    const choice =
      precision === 'auto'
        ? ({ precision: 'f32', reason: 'only the CPU chooses', warning: null } as const)
        : { precision, reason: 'asked for', warning: null };
    return { choice, engine: null };
  }

  async #evict(): Promise<void> {
    const surplus = Math.max(0, this.#bases.size - (this.#options.capacity ?? 2));
    const evicted = [...this.#bases].slice(0, surplus);
    for (const [key] of evicted) this.#forget(key);
    for (const [, base] of evicted) await this.#release(await base);
  }

  async #release(base: OpenBase): Promise<void> {
    this.#options.onRelease?.(base.folder);
    await release(base);
  }
}

async function readTokenizer(folder: string): Promise<Pick<DescribedBase, 'tokenizer' | 'tokenizerHash'>> {
  const tokenizer = await loadTokenizer(folder);
  const text = await readFile(join(folder, 'tokenizer.json'), 'utf8');
  return { tokenizer, tokenizerHash: hashTokenizer(text) };
}

async function release({ runtime, int8, model }: OpenBase): Promise<void> {
  await (int8 ?? runtime).dispose();
  await model.close();
}

function keyOf(stamped: string, precision: PrecisionSetting): string {
  return `${precision} ${stamped}`;
}

/** Identifies a folder's content by its path, and the name, size and modification time of every file. */
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
