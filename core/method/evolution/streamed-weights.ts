import { hashTensor, startFingerprint } from '../../formats/hugging-face/fingerprint.ts';
import type { ModelWeights } from '../../formats/hugging-face/model-weights.ts';
import type { Tensor } from '../../models/base-model.ts';
import type { WeightSource } from './weight-source.ts';

interface StreamedWeights extends WeightSource {
  /**
   * Reads a weight as float32.
   * @param spare array that may be overwritten; if it is long enough, the values are written to its beginning
   */
  readWeight(name: string, spare?: Float32Array): Promise<Tensor>;
}

/**
 * Returns a source of weights that stay on disk. Every tensor must be read once, in the order of the names; only then
 * is the fingerprint known. Reading in another order, or asking for the fingerprint earlier, is an error.
 * @param verified fingerprint of the files, if they were verified before; null computes it while reading
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
