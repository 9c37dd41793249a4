import { totalDrift, type Evolution, type TensorDrift } from './evolution.ts';

/** What no LoRA adapter can carry, in the words that reports use. */
export const UNADAPTABLE_PARTS = ['embeddings', 'head', 'norms', 'biases'] as const;
export type UnadaptablePart = (typeof UNADAPTABLE_PARTS)[number];

/** Drift of each part over all its tensors; parts that the model does not have are left out. */
export function unadaptableParts(evolution: Evolution): Map<UnadaptablePart, TensorDrift> {
  const tensors = [...evolution.unadaptable];
  const of = (part: UnadaptablePart) => tensors.filter(([name]) => partOf(name) === part).map(([, drift]) => drift);
  const present = UNADAPTABLE_PARTS.filter((part) => of(part).length > 0);
  return new Map(present.map((part) => [part, totalDrift(of(part))]));
}

function partOf(name: string): UnadaptablePart {
  if (name === 'model.embed_tokens.weight') return 'embeddings';
  if (name === 'lm_head.weight') return 'head';
  return name.endsWith('.bias') ? 'biases' : 'norms';
}
