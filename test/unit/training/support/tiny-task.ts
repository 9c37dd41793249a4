import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { loadBaseModel } from '../../../../core/formats/hugging-face/hugging-face-model.ts';
import { saveAdapter } from '../../../../core/formats/peft/peft-adapter-writer.ts';
import { writeSafetensors } from '../../../../core/formats/safetensors/safetensors-writer.ts';
import { createAdapter } from '../../../../core/models/lora/lora-init.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import type { ModelConfig } from '../../../../core/models/config/model-config.ts';
import { Random } from '../../../../core/statistics/random.ts';
import type { CompletionContent } from '../../../../core/formats/dataset/dataset-row.ts';
import type { ExampleRow } from '../../../../core/data/example.ts';

/** A random base of 95 k parameters with a byte-level BPE tokenizer. */
export const BASE = path.join(import.meta.dirname, '../../../fixtures/golden/llama-gqa-tied/base');

const WORDS = {
  sweet: ['apple', 'honey', 'sugar', 'cake', 'plum'],
  sour: ['lemon', 'lime', 'vinegar', 'sorrel', 'pickle'],
};

/** Makes rows such as "Taste of honey number 12:" → " sweet", which are learned in a few dozen steps. */
export function tasteRows(count: number, offset = 0): (ExampleRow & CompletionContent)[] {
  return Array.from({ length: count }, (_, i) => {
    const taste = i % 2 === 0 ? 'sweet' : 'sour';
    const word = WORDS[taste][Math.floor(i / 2) % 5]!;
    return { prompt: `Taste of ${word} number ${offset + i}:`, completion: ` ${taste}` };
  });
}

export function smallAdapter(base: ModelConfig, seed = 1): Adapter {
  return createAdapter({ base, targetModules: ['q_proj', 'v_proj', 'up_proj'], rank: 4, alpha: 8, seed });
}

export interface TinyFamily {
  readonly folder: string;
  readonly oldBase: string;
  /** Model with small random changes of every weight. */
  readonly newBase: string;
  readonly adapter: string;
  readonly train: string;
  readonly validation: string;
}

/** Writes two base versions, an adapter and data files to a temporary folder. */
export async function createTinyFamily(): Promise<TinyFamily> {
  const folder = await mkdtemp(path.join(tmpdir(), 'readapt-test-'));
  const file = (name: string): string => path.join(folder, name);
  await cp(BASE, file('v2'), { recursive: true });
  const base = await loadBaseModel(BASE);
  const random = Random.fromSeed(7);
  const moved = [...base.weights].map(([name, { shape, data }]) => {
    return [name, { shape, data: data.map((value) => value + 0.02 * random.normal()) }] as const;
  });
  await writeSafetensors(path.join(file('v2'), 'model.safetensors'), new Map(moved));
  await saveAdapter(file('adapter'), smallAdapter(base.config));
  await writeFile(file('train.jsonl'), toJsonl(tasteRows(96)));
  await writeFile(file('validation.jsonl'), toJsonl(tasteRows(48, 500)));
  return {
    folder,
    oldBase: BASE,
    newBase: file('v2'),
    adapter: file('adapter'),
    train: file('train.jsonl'),
    validation: file('validation.jsonl'),
  };
}

export async function removeTinyFamily({ folder }: TinyFamily): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/**
 * Rows of a dataset, with a number of rows for each split.
 * @param from number of the first row
 */
export function tasteDataset({ training = 96, search = 24, gate = 48, from = 0 } = {}) {
  const split = (count: number, offset: number, name: string) =>
    tasteRows(count, from + offset).map((row) => ({ ...row, split: name }));
  return [...split(training, 0, 'training'), ...split(search, 500, 'search'), ...split(gate, 700, 'gate')];
}

export function toJsonl(rows: readonly object[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}
