import { hashTensor, startFingerprint } from '../../formats/hugging-face/fingerprint.ts';
import type { ModelWeights } from '../../formats/hugging-face/model-weights.ts';
import type { WeightSource } from './evolution.ts';

/**
 * A source of weights that stay on disk. Every tensor must be read once, in name order; the fingerprint is known after the
 * last one. Reading another tensor, or asking for the fingerprint too early, is an error.
 */
export function streamed(model: ModelWeights): WeightSource {
  const hash = startFingerprint(model.config);
  const left = [...model.names].sort();
  let fingerprint: string | null = null;
  return {
    config: model.config,
    get fingerprint() {
      if (left.length > 0) throw new Error(`the fingerprint is not known before tensor ${left[0]} is read`);
      return (fingerprint ??= hash.digest('hex'));
    },
    async readWeight(name) {
      const next = left.shift();
      if (name !== next) throw new Error(`tensor ${name} is read out of turn, expected ${next ?? 'none'}`);
      const tensor = await model.read(name);
      hashTensor(hash, name, tensor);
      return tensor;
    },
  };
}
