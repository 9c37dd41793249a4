/**
 * Writes a model of random weights in the shape of a real one, in bf16 and in shards. It holds one shard in memory.
 *
 *   node --import tsx lab/bench/large-models/make-random-model.ts tinyllama-1.1b OUT [--change 0.05] [--seed 1]
 *
 * `--change` makes a later version: the weights of the same seed plus noise of that relative size.
 */
import { copyFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { writeFolderAtomic } from '../../../core/formats/atomic-file.ts';
import { parseModelConfig } from '../../../core/formats/hugging-face/config/parse-model-config.ts';
import { writeSafetensors } from '../../../core/formats/safetensors/safetensors-writer.ts';
import { expectedWeights, type WeightSpec } from '../../../core/models/architecture/architecture.ts';
import { randomWeights, type WeightsOptions } from './random-weights.ts';
import { SHAPES } from './shapes.ts';

/** Folder with the tokenizer of the demo. Its 4,096 tokens are a part of the vocabulary of every shape. */
const TOKENIZER = path.join(import.meta.dirname, '../../../examples/demo-family/v1');

/** Largest number of weights in a shard. A larger tensor gets a shard of its own. */
const SHARD_WEIGHTS = 128e6;

const sizeOf = ({ shape }: WeightSpec): number => shape.reduce((product, length) => product * length, 1);

async function writeModel(folder: string, shape: Readonly<Record<string, unknown>>, options: WeightsOptions) {
  const shards = cutIntoShards(expectedWeights(parseModelConfig(shape, 'config.json')));
  const weightMap: Record<string, string> = {};
  for (const [index, specs] of shards.entries()) {
    const file = `model-${number(index + 1)}-of-${number(shards.length)}.safetensors`;
    const tensors = specs.map((spec) => {
      weightMap[spec.name] = file;
      return [spec.name, { shape: spec.shape, data: randomWeights(spec.name, sizeOf(spec), options) }] as const;
    });
    await writeSafetensors(path.join(folder, file), new Map(tensors), { dtype: 'BF16' });
    process.stderr.write(`${file}\n`);
  }
  const index = { metadata: { total_size: 2 * shards.flat().reduce((total, spec) => total + sizeOf(spec), 0) } };
  await writeFile(
    path.join(folder, 'model.safetensors.index.json'),
    JSON.stringify({ ...index, weight_map: weightMap }),
  );
  await writeFile(path.join(folder, 'config.json'), JSON.stringify({ ...shape, torch_dtype: 'bfloat16' }, null, 2));
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    await copyFile(path.join(TOKENIZER, name), path.join(folder, name));
  }
}

function cutIntoShards(specs: readonly WeightSpec[]): WeightSpec[][] {
  const shards: WeightSpec[][] = [];
  let left = 0;
  for (const spec of specs) {
    if (sizeOf(spec) > left) {
      shards.push([]);
      left = SHARD_WEIGHTS;
    }
    shards.at(-1)!.push(spec);
    left -= sizeOf(spec);
  }
  return shards;
}

const number = (value: number): string => String(value).padStart(5, '0');

function parseNumber(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError(`found ${text}, expected a number of at least 0`);
}

await new Command('make-random-model')
  .description('Write a model of random weights in the shape of a real one.')
  .argument('<shape>', `one of ${Object.keys(SHAPES).join(', ')}`)
  .argument('<folder>', 'folder to write, which must not exist')
  .option('--change <size>', 'makes a later version, with noise of this size relative to the weights', parseNumber, 0)
  .option('--seed <number>', 'other weights for another number', parseNumber, 1)
  .action(async (name: string, folder: string, options: WeightsOptions) => {
    const shape = SHAPES[name];
    if (!shape) throw new Error(`the shape is ${name}, expected one of ${Object.keys(SHAPES).join(', ')}`);
    await writeFolderAtomic(folder, (temporary) => writeModel(temporary, shape, options));
  })
  .parseAsync();
