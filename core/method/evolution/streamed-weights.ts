import { hashTensor, startFingerprint } from '../../formats/hugging-face/fingerprint.ts';
import type { ModelWeights } from '../../formats/hugging-face/model-weights.ts';
import type { Tensor } from '../../models/base-model.ts';
import type { WeightSource } from './weight-source.ts';

interface StreamedWeights extends WeightSource {
  /** @param spare an array that may be overwritten; if it is long enough, the values are written to its beginning */
  readWeight(name: string, spare?: Float32Array): Promise<Tensor>;
}

/**
 * Source of weights that stay on disk. Every tensor must be read once, in name order; the fingerprint is known after
 * the last one. Reading out of order, or asking for the fingerprint too early, is an error.
 * @param verified the fingerprint, if these files were verified before; otherwise it is computed
 */
export function streamed(model: ModelWeights, verified = model.verified): StreamedWeights {
  const hash = verified === null ? startFingerprint(model.config) : null;
  const left = [...model.names].sort();
  let fingerprint = verified;
  return {
    config: model.config,
    get fingerprint() {
      if (left.length > 0) throw new Error(`the fingerprint is not known before tensor ${left[0]} is read`);
      return (fingerprint ??= hash!.digest('hex'));
    },
    async readWeight(name, spare) {
      const next = left.shift();
      if (name !== next) throw new Error(`tensor ${name} is read out of turn, expected ${next ?? 'none'}`);
      const tensor = await model.read(name, spare);
      if (hash) hashTensor(hash, name, tensor);
      return tensor;
    },
  };
}
