import { copyFile, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import { writeSafetensors } from '../../../core/formats/safetensors/safetensors-writer.ts';
import { expectedWeights } from '../../../core/models/architecture/architecture.ts';
import { parseModelConfig } from '../../../core/formats/hugging-face/config/parse-model-config.ts';
import { Random } from '../../../core/statistics/random.ts';
import { BASE, smallAdapter, tasteRows, toJsonl, type TinyFamily } from '../../unit/training/support/tiny-task.ts';

/** Sizes of SmolLM2-135M, except for the vocabulary, which is the tokenizer's: 3.5 million weights per layer. */
const SHAPE = {
  hidden_size: 576,
  intermediate_size: 1536,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  head_dim: 64,
};

/**
 * Creates a random base so large that a step of 6 rows, one micro-batch, takes more than 25 ms per layer. Both versions
 * are equal.
 */
export async function createLargeFamily({ layers }: { layers: number }): Promise<TinyFamily> {
  const folder = await mkdtemp(path.join(tmpdir(), 'readapt-test-large-'));
  const file = (name: string): string => path.join(folder, name);
  const base = file('base');
  await mkdir(base);
  const json = {
    ...(JSON.parse(await readFile(path.join(BASE, 'config.json'), 'utf8')) as object),
    ...SHAPE,
    num_hidden_layers: layers,
  };
  await writeFile(path.join(base, 'config.json'), JSON.stringify(json));
  await copyFile(path.join(BASE, 'tokenizer.json'), path.join(base, 'tokenizer.json'));
  const config = parseModelConfig(json, 'config.json');
  const random = Random.fromSeed(11);
  const noise = Float32Array.from({ length: 65_521 }, () => 0.03 * random.normal());
  const weights = expectedWeights(config).map(({ name, shape }) => {
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
    if (name.includes('norm')) data.fill(1);
    else for (let at = 0; at < data.length; at += noise.length) data.set(noise.subarray(0, data.length - at), at);
    return [name, { shape, data }] as const;
  });
  await writeSafetensors(path.join(base, 'model.safetensors'), new Map(weights), { dtype: 'BF16' });
  await saveAdapter(file('adapter'), smallAdapter(config));
  const rows = tasteRows(32).map((row) => ({ ...row, prompt: `${'sweet and sour '.repeat(6)}${row.prompt}` }));
  await writeFile(file('train.jsonl'), toJsonl(rows));
  await writeFile(file('validation.jsonl'), toJsonl(tasteRows(8, 500)));
  const [train, validation] = [file('train.jsonl'), file('validation.jsonl')];
  return { folder, oldBase: base, newBase: base, adapter: file('adapter'), train, validation };
}
