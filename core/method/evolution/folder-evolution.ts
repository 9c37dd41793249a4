import { hashTensor, startFingerprint } from '../../formats/hugging-face/fingerprint.ts';
import { withModelWeights, type ModelWeights } from '../../formats/hugging-face/model-weights.ts';
import { computeEvolution, type Evolution, type EvolutionOptions, type WeightSource } from './evolution.ts';

/**
 * What changed between the base models of two folders. The files are read once, tensor by tensor; fingerprints are taken
 * of the very values that the evolution is computed from.
 * @throws FormatError for a folder that does not hold a base model, AdaptationError `incompatible_evolution`
 */
export async function evolutionBetweenFolders(
  oldFolder: string,
  newFolder: string,
  options: EvolutionOptions = {},
): Promise<Evolution> {
  return withModelWeights(oldFolder, (from) =>
    withModelWeights(newFolder, (to) => computeEvolution(streamed(from), streamed(to), options)),
  );
}

/** Weights that stay on disk. Every tensor is to be read once, in the order of names; after the last the fingerprint is known. */
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
