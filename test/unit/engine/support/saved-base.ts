import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { writeSafetensors } from '../../../../core/formats/safetensors/safetensors-writer.ts';
import type { BaseModel } from '../../../../core/models/base-model.ts';
import type { ModelConfig } from '../../../../core/models/config/model-config.ts';
import { BASE } from '../../training/support/tiny-task.ts';
import { randomBase } from './random-model.ts';

/**
 * Writes a Llama with random weights in bfloat16, with a tokenizer of 512 tokens, to a folder.
 * @param change modifies the weights in place first
 */
export async function saveRandomBase(
  to: string,
  sizes: Partial<ModelConfig>,
  change: (weights: BaseModel['weights']) => void = () => undefined,
): Promise<void> {
  await cp(BASE, to, { recursive: true });
  const { weights, config } = randomBase(sizes);
  change(weights);
  await writeSafetensors(path.join(to, 'model.safetensors'), new Map(weights), { dtype: 'BF16' });
  const given = JSON.parse(await readFile(path.join(to, 'config.json'), 'utf8')) as object;
  const written = {
    ...given,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.numLayers,
    num_attention_heads: config.numHeads,
    num_key_value_heads: config.numKeyValueHeads,
    head_dim: config.headDim,
    vocab_size: config.vocabSize,
    max_position_embeddings: config.maxPositionEmbeddings,
  };
  await writeFile(path.join(to, 'config.json'), JSON.stringify(written));
}
