import { createHash } from 'node:crypto';
import { WeightPool } from '../../../formats/hugging-face/weight-pool.ts';
import { ArrayParts } from '../../../models/array-parts.ts';
import { weightOf, type BaseModel } from '../../../models/base-model.ts';
import { ownSources, sha256 } from '../../cache/sources.ts';
import { elementCount } from '../../graph/graph.ts';
import { WEIGHT_INTEGERS, type IntegerArray, type WeightIntegers } from '../weight-integers.ts';
import { layerMatrices, layerWeights } from '../layer-weights.ts';
import type { Direction, Int8Matrix, RoundedMatrix, Smoothing } from './int8-matrix.ts';
import type { RoundedFile } from './rounded-file.ts';
import type { RoundedStore } from './rounded-store.ts';
import { neutralFactors, Rounding, type Integers } from './rounding.ts';

export interface RoundedWeightsOptions {
  readonly base: BaseModel;
  readonly smoothing: Smoothing;
  readonly threads: number;
  /** Store of rounded matrices, shared with later processes. Default: none, so that nothing is stored. */
  readonly store?: RoundedStore | null | undefined;
  /** Form of the integers. Default: {@link WEIGHT_INTEGERS}. */
  readonly form?: WeightIntegers;
}

/**
 * Matrices of a base's layers in 8 bits. They are read from the store if an earlier process has rounded them, and
 * rounded otherwise. Each form of a matrix is loaded at its first use; float32 matrices are in memory only while they
 * are rounded. The creator disposes of the object.
 */
export class RoundedWeights {
  readonly form: WeightIntegers;
  readonly #options: RoundedWeightsOptions;
  readonly #matrices = new Map<string, Promise<Int8Matrix>>();
  readonly #arrays = new Map<Direction, ArrayParts<IntegerArray>>();
  #rounding: Promise<Rounding> | null = null;
  #last: { readonly weight: string; readonly matrix: Promise<RoundedMatrix> } | null = null;
  #file: RoundedFile | null = null;
  #publishing: Promise<void> = Promise.resolve();

  constructor(options: RoundedWeightsOptions) {
    this.form = options.form ?? WEIGHT_INTEGERS;
    this.#options = options;
  }

  /**
   * Opens the file of rounded matrices that an earlier process has written. If there is none, rounds every matrix and
   * writes one.
   * @param held the base's float32 weights, if they are in memory at the moment
   */
  async prepare(held?: BaseModel['weights']): Promise<void> {
    const { store, base } = this.#options;
    if (!store || this.#file) return;
    const key = this.#key();
    this.#file = (await store.open(key)) ?? (await store.create(key, roundedBytes(base)));
    if (this.#file?.isNew) await this.#roundAll(this.#file, held);
  }

  /**
   * Gives the file of {@link prepare} its final name, under which later processes find it. {@link dispose} waits until
   * this is done.
   */
  publish(): void {
    const file = this.#file;
    // If the disk is full or read-only, the next process rounds again.
    if (file) this.#publishing = file.commit().catch(() => undefined);
  }

  /**
   * Returns the factors by which the columns of a weight's activations are multiplied before rounding, [in]: the
   * reciprocals of its smoothing factors.
   */
  divisorsOf(weight: string): Float32Array {
    const { base, smoothing } = this.#options;
    const factors = smoothing.get(weight) ?? neutralFactors(weightOf(base, weight));
    return factors.map((factor) => 1 / factor);
  }

  get(weight: string, direction: Direction): Promise<Int8Matrix> {
    const key = `${direction} ${weight}`;
    const known = this.#matrices.get(key) ?? this.#make(weight, direction);
    this.#matrices.set(key, known);
    return known;
  }

  /**
   * Releases the rounded matrices for one direction (forward or backward pass), but only if they can be read again from
   * a file.
   */
  release(direction: Direction): void {
    if (this.#file === null) return;
    for (const key of [...this.#matrices.keys()]) if (key.startsWith(`${direction} `)) this.#matrices.delete(key);
    this.#arrays.delete(direction);
  }

  async dispose(): Promise<void> {
    await this.#publishing;
    await Promise.allSettled(this.#matrices.values());
    await this.#releaseRounding();
    this.#matrices.clear();
    this.#arrays.clear();
    await this.#file?.close();
    this.#file = null;
  }

  /** Begins to read the stored matrices for one direction before they are requested. */
  prefetch(direction: Direction): void {
    if (this.#file === null || this.#file.isNew) return;
    // The error surfaces when the matrix is requested.
    for (const { name } of layerMatrices(this.#options.base.config)) this.get(name, direction).catch(() => undefined);
  }

  #arraysOf(direction: Direction): ArrayParts<IntegerArray> {
    const known =
      this.#arrays.get(direction) ?? new ArrayParts(this.form.ArrayType, layerWeights(this.#options.base.config));
    this.#arrays.set(direction, known);
    return known;
  }

  async #make(weight: string, direction: Direction): Promise<Int8Matrix> {
    const kept = await this.#file?.read(weight, direction, (size) => this.#arraysOf(direction).take(size));
    if (kept) return kept;
    // The file is damaged; the next process writes it again.
    if (this.#file?.isNew === false) await this.#options.store?.remove(this.#key());
    // Both forms come from one rounding, and a program that needs both requests one after the other.
    if (this.#last?.weight !== weight) {
      // Sequential, so that only one matrix is in memory in float32.
      const matrix = Promise.allSettled([this.#last?.matrix]).then(() => this.#round(weight));
      this.#last = { weight, matrix };
    }
    return (await this.#last.matrix)[direction];
  }

  async #round(weight: string, tensor = weightOf(this.#options.base, weight), into?: Integers): Promise<RoundedMatrix> {
    const { smoothing, threads } = this.#options;
    const rounding = await (this.#rounding ??= Rounding.create({ threads, form: this.form }));
    return rounding.round(tensor, smoothing.get(weight) ?? neutralFactors(tensor), into);
  }

  /**
   * Rounds all matrices and writes them to the file. The forward form stays in memory, since every pass needs it; the
   * backward form is read again when gradients need it.
   */
  async #roundAll(file: RoundedFile, held?: BaseModel['weights']): Promise<void> {
    const { base } = this.#options;
    const pool = new WeightPool(held ?? base.weights);
    const intoOf = (size: number): Integers => ({ forward: this.#arraysOf('forward').take(size) });
    const write = async (weight: string, { forward, backward }: RoundedMatrix): Promise<void> => {
      await file.add(weight, 'forward', forward);
      await file.add(weight, 'backward', backward);
    };
    let written = Promise.resolve();
    try {
      for (const { name: weight } of layerMatrices(base.config)) {
        const tensor = pool.acquire(weight) ?? weightOf(base, weight);
        const rounded = await this.#round(weight, tensor, intoOf(tensor.data.length));
        pool.release();
        this.#matrices.set(`forward ${weight}`, Promise.resolve(rounded.forward));
        // Write each matrix while the next one is rounded.
        await written;
        written = write(weight, rounded);
        written.catch(() => undefined);
      }
      await written;
      await this.#releaseRounding();
    } catch (error) {
      this.#file = null;
      await file.close();
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    }
  }

  async #releaseRounding(): Promise<void> {
    const rounding = this.#rounding;
    [this.#rounding, this.#last] = [null, null];
    await (await rounding)?.release();
  }

  /** Key of the base's file in the store: a hash of everything that determines the integers. */
  #key(): string {
    const { base, smoothing } = this.#options;
    const hash = createHash('sha256');
    for (const [name, factors] of [...smoothing].sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash
        .update(`${name} ${factors.length}\n`)
        .update(new Uint8Array(factors.buffer, factors.byteOffset, factors.byteLength));
    }
    return sha256(JSON.stringify([this.form.type, base.fingerprint, hash.digest('hex'), ownSources()]));
  }
}

/** Size in bytes of all layers' rounded matrices, in both forms and with their scales. */
function roundedBytes({ config }: BaseModel): number {
  return layerMatrices(config).reduce(
    (total, { shape }) => total + 2 * elementCount(shape) + 4 * (shape[0]! + shape[1]!),
    0,
  );
}
