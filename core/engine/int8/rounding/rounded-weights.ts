import { createHash } from 'node:crypto';
import { WeightPool } from '../../../formats/hugging-face/weight-pool.ts';
import { ArrayParts } from '../../../models/array-parts.ts';
import { weightOf, type BaseModel } from '../../../models/base-model.ts';
import { ownSources, sha256 } from '../../cache/sources.ts';
import { sizeOf } from '../../graph/graph.ts';
import { layerMatrices, layerWeights } from '../layer-weights.ts';
import type { Direction, Int8Matrix, RoundedMatrix, Smoothing } from './int8-matrix.ts';
import type { RoundedFile } from './rounded-file.ts';
import type { RoundedStore } from './rounded-store.ts';
import { neutralFactors, Rounding, type Integers } from './rounding.ts';

export interface RoundedWeightsOptions {
  readonly base: BaseModel;
  readonly smoothing: Smoothing;
  readonly threads: number;
  /** Keeps the integers for later processes. Default: none. */
  readonly store?: RoundedStore | null | undefined;
}

/**
 * The matrices of a base's layers in 8 bits. They come from the store where an earlier process has kept them, and are
 * rounded otherwise. Each form of a matrix occupies memory from the first time that it is asked for; float32 matrices do
 * so only while they are rounded. Whoever made it disposes of it.
 */
export class RoundedWeights {
  readonly #options: RoundedWeightsOptions;
  readonly #matrices = new Map<string, Promise<Int8Matrix>>();
  readonly #arrays = new Map<Direction, ArrayParts<Int8Array>>();
  #rounding: Promise<Rounding> | null = null;
  #last: { readonly weight: string; readonly matrix: Promise<RoundedMatrix> } | null = null;
  #file: RoundedFile | null = null;
  #kept: Promise<void> = Promise.resolve();

  constructor(options: RoundedWeightsOptions) {
    this.#options = options;
  }

  /**
   * Opens the file that an earlier process has kept, or else rounds every matrix and writes one.
   * @param held the same weights, where they are in memory for the moment
   */
  async prepare(held?: BaseModel['weights']): Promise<void> {
    const { store, base } = this.#options;
    if (!store || this.#file) return;
    const key = this.#key();
    this.#file = (await store.open(key)) ?? (await store.create(key, roundedBytes(base)));
    if (this.#file?.isNew) await this.#roundAll(this.#file, held);
  }

  /** Lets later processes find what {@link prepare} has written. They do so after {@link dispose} at the latest. */
  keep(): void {
    const file = this.#file;
    // The disk is full or read-only, so the next process rounds again.
    if (file) this.#kept = file.keep().catch(() => undefined);
  }

  /** What the columns of the activations that a weight is multiplied with are themselves multiplied with first, [in]. */
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

  /** Lets go of the forms for one direction that can be read from the file again. */
  release(direction: Direction): void {
    if (this.#file === null) return;
    for (const key of [...this.#matrices.keys()]) if (key.startsWith(`${direction} `)) this.#matrices.delete(key);
    this.#arrays.delete(direction);
  }

  async dispose(): Promise<void> {
    await this.#kept;
    await Promise.allSettled(this.#matrices.values());
    await this.#releaseRounding();
    this.#matrices.clear();
    this.#arrays.clear();
    await this.#file?.close();
    this.#file = null;
  }

  /** Begins to read the forms for one direction that an earlier process has kept, before they are asked for. */
  readAhead(direction: Direction): void {
    if (this.#file === null || this.#file.isNew) return;
    // Whoever asks for a matrix gets the error.
    for (const { name } of layerMatrices(this.#options.base.config)) this.get(name, direction).catch(() => undefined);
  }

  #arraysOf(direction: Direction): ArrayParts<Int8Array> {
    const known = this.#arrays.get(direction) ?? new ArrayParts(Int8Array, layerWeights(this.#options.base.config));
    this.#arrays.set(direction, known);
    return known;
  }

  async #make(weight: string, direction: Direction): Promise<Int8Matrix> {
    const kept = await this.#file?.read(weight, direction, (size) => this.#arraysOf(direction).take(size));
    if (kept) return kept;
    // A file that does not hold what it should is damaged, and the next process writes it again.
    if (this.#file?.isNew === false) await this.#options.store?.remove(this.#key());
    // Both forms come from one rounding, and a program that needs both asks for one after the other.
    if (this.#last?.weight !== weight) {
      // One after the other, so that only one is in memory in float32.
      const matrix = Promise.allSettled([this.#last?.matrix]).then(() => this.#round(weight));
      this.#last = { weight, matrix };
    }
    return (await this.#last.matrix)[direction];
  }

  async #round(weight: string, tensor = weightOf(this.#options.base, weight), into?: Integers): Promise<RoundedMatrix> {
    const { smoothing, threads } = this.#options;
    const rounding = await (this.#rounding ??= Rounding.create({ threads }));
    return rounding.round(tensor, smoothing.get(weight) ?? neutralFactors(tensor), into);
  }

  /** Activations are always computed, so their form stays in memory; the other one is read again where it is needed. */
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
        // Each matrix is written while the next one is rounded.
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

  /** Everything that decides the integers. */
  #key(): string {
    const { base, smoothing } = this.#options;
    const hash = createHash('sha256');
    for (const [name, factors] of [...smoothing].sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash
        .update(`${name} ${factors.length}\n`)
        .update(new Uint8Array(factors.buffer, factors.byteOffset, factors.byteLength));
    }
    return sha256(JSON.stringify(['int8', base.fingerprint, hash.digest('hex'), ownSources()]));
  }
}

/** The size of both forms of all layers' matrices with their scales, in bytes. */
function roundedBytes({ config }: BaseModel): number {
  return layerMatrices(config).reduce((total, { shape }) => total + 2 * sizeOf(shape) + 4 * (shape[0]! + shape[1]!), 0);
}
