/** Distance between two versions of one tensor, or of several tensors together, in Frobenius norms. */
export interface TensorDrift {
  /** Norm of the change, ‖W_new − W_old‖. */
  readonly deltaNorm: number;
  /** Norm of the old weights, ‖W_old‖. */
  readonly weightNorm: number;
  /** Change relative to the old weights, deltaNorm / weightNorm. */
  readonly drift: number;
}

/**
 * Computes the drift from ‖W_new − W_old‖² and ‖W_old‖². A change from zero weights has no finite ratio: its drift is
 * Infinity if anything changed, and 0 otherwise.
 */
export function driftOf(deltaSquares: number, weightSquares: number): TensorDrift {
  const deltaNorm = Math.sqrt(deltaSquares);
  const weightNorm = Math.sqrt(weightSquares);
  return { deltaNorm, weightNorm, drift: deltaNorm === 0 ? 0 : deltaNorm / weightNorm };
}

/** Returns the drift of several tensors together, as if they were one. */
export function totalDrift(parts: readonly TensorDrift[]): TensorDrift {
  return driftOf(
    parts.reduce((sum, { deltaNorm }) => sum + deltaNorm ** 2, 0),
    parts.reduce((sum, { weightNorm }) => sum + weightNorm ** 2, 0),
  );
}

/** Drift of one projection, such as `mlp.up_proj`, in every layer and in all layers together. */
export interface ProjectionDrift {
  readonly projection: string;
  /** Drift in each layer; null for a layer that does not have this projection. */
  readonly drifts: readonly (number | null)[];
  /** Drift of all layers together. */
  readonly drift: number;
}

/**
 * Returns the drift of the adaptable modules as a grid: one row for each projection, in the order in which a layer has
 * them, and one column for each layer.
 */
export function driftGrid({ modules }: { readonly modules: ReadonlyMap<string, TensorDrift> }): ProjectionDrift[] {
  const cells = [...modules].flatMap(([name, module]) => {
    const [, layer, projection] = /^model\.layers\.(\d+)\.(.+)$/.exec(name) ?? [];
    return projection === undefined ? [] : [{ layer: Number(layer), projection, module }];
  });
  const layers = Math.max(-1, ...cells.map(({ layer }) => layer)) + 1;
  return [...new Set(cells.map(({ projection }) => projection))].map((projection) => {
    const row = cells.filter((cell) => cell.projection === projection);
    const drifts = Array.from(
      { length: layers },
      (_, layer) => row.find((cell) => cell.layer === layer)?.module.drift ?? null,
    );
    return { projection, drifts, drift: totalDrift(row.map(({ module }) => module)).drift };
  });
}

/** Parts of a base model that no LoRA adapter changes, as reports name them. */
const UNADAPTABLE_PARTS = ['embeddings', 'head', 'norms', 'biases'] as const;
type UnadaptablePart = (typeof UNADAPTABLE_PARTS)[number];

/** Returns the drift of each unadaptable part over all its tensors. Parts that the model does not have are left out. */
export function unadaptableParts(evolution: {
  readonly unadaptable: ReadonlyMap<string, TensorDrift>;
}): Map<UnadaptablePart, TensorDrift> {
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
