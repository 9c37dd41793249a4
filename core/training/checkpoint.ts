import { createHash } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from '../formats/errors.ts';
import { withSafetensors } from '../formats/safetensors/safetensors.ts';
import { writeSafetensors } from '../formats/safetensors/safetensors-writer.ts';

/** Checkpoint of a run: the data from which it resumes after an interruption. */
export interface Checkpoint {
  /** State of the run other than arrays, as plain JSON. */
  readonly state: unknown;
  /** Arrays of numbers that belong to the state, by their names. */
  readonly tensors: ReadonlyMap<string, Float32Array>;
}

/** Number of checkpoints of a job that are kept. Older ones are deleted. */
export const KEPT_CHECKPOINTS = 2;
const FILE_NAME = /^checkpoint-(\d{8})\.safetensors$/;

/**
 * Store of one job's checkpoints in a folder of their own. Each checkpoint is a safetensors file, whose metadata hold
 * the state and a SHA-256 over state and arrays. The file is written under a temporary name, synced and renamed. The
 * last two checkpoints are kept, so that the older one remains if the newer one is damaged.
 */
export class CheckpointStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async save(checkpoint: Checkpoint): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const numbers = await this.#numbers();
    const next = (numbers[0] ?? 0) + 1;
    const state = JSON.stringify(checkpoint.state);
    const tensors = new Map([...checkpoint.tensors].map(([name, data]) => [name, { shape: [data.length], data }]));
    const metadata = { format: 'readapt-checkpoint', state, sha256: checksum(state, checkpoint.tensors) };
    await writeSafetensors(this.#path(next), tensors, { metadata });
    for (const number of numbers.slice(KEPT_CHECKPOINTS - 1)) await rm(this.#path(number), { force: true });
  }

  /** Returns the newest checkpoint that is not damaged; null if there is none. */
  async latest(): Promise<Checkpoint | null> {
    for (const number of await this.#numbers()) {
      const checkpoint = await this.#read(number);
      if (checkpoint) return checkpoint;
    }
    return null;
  }

  async clear(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Returns the numbers of the checkpoint files in the folder, in descending order, so that the newest comes first. */
  async #numbers(): Promise<number[]> {
    const names = await readdir(this.#folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const numbers = names.flatMap((name) => FILE_NAME.exec(name)?.[1] ?? []).map(Number);
    return numbers.sort((a, b) => b - a);
  }

  #path(number: number): string {
    return join(this.#folder, `checkpoint-${String(number).padStart(8, '0')}.safetensors`);
  }

  /**
   * Reads the checkpoint of this number. Returns null for a damaged file instead of an error, because the job can
   * resume from an older checkpoint or start again.
   */
  async #read(number: number): Promise<Checkpoint | null> {
    try {
      return await withSafetensors(this.#path(number), async (file) => {
        const tensors = new Map<string, Float32Array>();
        for (const name of file.names) tensors.set(name, (await file.read(name)).data);
        const { state, sha256 } = file.header.metadata;
        if (state === undefined || checksum(state, tensors) !== sha256) return null;
        return { state: JSON.parse(state) as unknown, tensors };
      });
    } catch (error) {
      if (error instanceof FormatError) return null;
      throw error;
    }
  }
}

function checksum(state: string, tensors: ReadonlyMap<string, Float32Array>): string {
  const hash = createHash('sha256').update(state);
  for (const [name, data] of [...tensors].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`\n${JSON.stringify([name, data.length])}\n`);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}
