import type { GroupingName } from '../../options/job-options.ts';
import type { Coefficients } from './coefficients.ts';

/** Returns the group of a module such as `model.layers.0.mlp.up_proj`. */
export type Grouping = (module: string) => string;

/** Number of bands of the grouping `depth`, if the model has that many layers. */
const DEPTH_BANDS = 4;

/**
 * The grouping with this name. The groups are `all` (global), `attention` and `mlp` (block), `band 0` next to the
 * embedding to `band 3` (depth; their sizes differ by at most one layer), and the modules' own names (module).
 * @param modules names of all adaptable modules of the model, which tell how many layers it has
 * @returns a function that throws a RangeError for a module that belongs to no group
 */
export function groupingOf(name: GroupingName, modules: Iterable<string>): Grouping {
  switch (name) {
    case 'global':
      return () => 'all';
    case 'block':
      return blockOf;
    case 'module':
      return (module) => module;
    case 'depth':
      return depthGrouping(1 + Math.max(-1, ...[...modules].map(layerOf)));
  }
}

function blockOf(module: string): string {
  const block = /\.(self_attn|mlp)\.[^.]+$/.exec(module)?.[1];
  if (block !== undefined) return block === 'mlp' ? 'mlp' : 'attention';
  throw new RangeError(`module ${module} is in neither self_attn nor mlp, as the grouping "block" expects`);
}

function depthGrouping(layers: number): Grouping {
  const bands = Math.min(DEPTH_BANDS, layers);
  return (module) => {
    const layer = layerOf(module);
    if (layer >= 0 && layer < layers) return `band ${Math.floor((layer * bands) / layers)}`;
    throw new RangeError(`module ${module} is in none of the model's ${layers} layers`);
  };
}

/** Number of the module's layer; −1 for a module outside of the layers. */
function layerOf(module: string): number {
  return Number(/\.layers\.(\d+)\./.exec(module)?.[1] ?? -1);
}

/** Fusion coefficients of each group of modules. */
export interface GroupedCoefficients {
  readonly grouping: Grouping;
  /** Coefficients by group. */
  readonly values: ReadonlyMap<string, Coefficients>;
}

/** Gives the same coefficients to every group that the modules belong to. */
export function everyGroup(grouping: Grouping, modules: Iterable<string>, pair: Coefficients): GroupedCoefficients {
  return { grouping, values: new Map([...modules].map((module) => [grouping(module), pair])) };
}

/**
 * The coefficients of one module.
 * @throws RangeError if the module's group has no coefficients, or if they are not finite
 */
export function coefficientsOf(module: string, coefficients: Coefficients | GroupedCoefficients): Coefficients {
  if (!('grouping' in coefficients)) return finite(coefficients);
  const group = coefficients.grouping(module);
  const pair = coefficients.values.get(group);
  if (!pair) throw new RangeError(`group ${group} of module ${module} has no fusion coefficients`);
  return finite(pair, ` of group ${group}`);
}

function finite(pair: Coefficients, place = ''): Coefficients {
  const { alpha, beta } = pair;
  if (Number.isFinite(alpha) && Number.isFinite(beta)) return pair;
  throw new RangeError(`fusion coefficients${place} are alpha ${alpha} and beta ${beta}, expected finite numbers`);
}

/** The means of the coefficients over the given modules; each module counts once. */
export function meanCoefficients(coefficients: GroupedCoefficients, modules: Iterable<string>): Coefficients {
  const pairs = [...modules].map((module) => coefficientsOf(module, coefficients));
  const mean = (name: keyof Coefficients) => pairs.reduce((sum, pair) => sum + pair[name], 0) / pairs.length;
  return { alpha: mean('alpha'), beta: mean('beta') };
}

/** The coefficients that all groups have in common, or null if groups differ. */
export function commonPair({ values }: GroupedCoefficients): Coefficients | null {
  const [first, ...others] = values.values();
  return first && others.every(({ alpha, beta }) => alpha === first.alpha && beta === first.beta) ? first : null;
}

/** {@link GroupedCoefficients} as plain JSON, which checkpoints and manifests store. */
export interface CoefficientGroups {
  readonly grouping: GroupingName;
  /** Coefficients by group. */
  readonly values: Readonly<Record<string, Coefficients>>;
}

export function toCoefficientGroups(grouping: GroupingName, { values }: GroupedCoefficients): CoefficientGroups {
  return { grouping, values: Object.fromEntries(values) };
}

/**
 * Restores grouped coefficients from JSON.
 * @param modules names of all adaptable modules of the model
 */
export function fromCoefficientGroups(
  { grouping, values }: CoefficientGroups,
  modules: Iterable<string>,
): GroupedCoefficients {
  return { grouping: groupingOf(grouping, modules), values: new Map(Object.entries(values)) };
}
