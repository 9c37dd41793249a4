import type { GroupingName } from '../../options/job-options.ts';
import type { Coefficients } from './coefficients.ts';

/** The group of a module (`model.layers.0.mlp.up_proj`): modules of one group share their coefficients. */
export type Grouping = (module: string) => string;

/** Coefficients of each group. */
export interface GroupedCoefficients {
  readonly grouping: Grouping;
  readonly values: ReadonlyMap<string, Coefficients>;
}

/** One pair for all modules, as in the paper. */
export const globalGrouping: Grouping = () => 'all';

/** `attention` and `mlp`. */
export const blockGrouping: Grouping = (module) => {
  const block = /\.(self_attn|mlp)\.[^.]+$/.exec(module)?.[1];
  if (block === undefined) throw new RangeError(`module ${module} is in neither self_attn nor mlp: group it otherwise`);
  return block === 'mlp' ? 'mlp' : 'attention';
};

/** A group for each module. */
export const moduleGrouping: Grouping = (module) => module;

/**
 * Bands of consecutive layers, `band 0` the one next to the embedding; sizes differ by at most one.
 * @param layers of the model
 */
export function depthGrouping(bands: number, layers: number): Grouping {
  if (!(Number.isInteger(bands) && bands >= 1 && bands <= layers)) {
    throw new RangeError(`depth bands are ${bands}, expected an integer from 1 to the model's ${layers} layers`);
  }
  return (module) => {
    const layer = layerOf(module);
    if (layer < 0 || layer >= layers)
      throw new RangeError(`module ${module} is in none of the model's ${layers} layers`);
    return `band ${Math.floor((layer * bands) / layers)}`;
  };
}

/** Bands of `depth`, where the model has as many layers. */
const DEPTH_BANDS = 4;

/** @param modules of the whole model, which tell how many layers it has */
export function groupingOf(name: GroupingName, modules: Iterable<string>): Grouping {
  switch (name) {
    case 'global':
      return globalGrouping;
    case 'block':
      return blockGrouping;
    case 'module':
      return moduleGrouping;
    case 'depth': {
      const layers = 1 + Math.max(-1, ...[...modules].map(layerOf));
      return depthGrouping(Math.min(DEPTH_BANDS, layers), layers);
    }
  }
}

/** One pair, given to every group that the modules fall into. */
export function everyGroup(grouping: Grouping, modules: Iterable<string>, pair: Coefficients): GroupedCoefficients {
  return { grouping, values: new Map([...modules].map((module) => [grouping(module), pair])) };
}

/** @throws RangeError where the module's group has none, or they are not finite */
export function coefficientsOf(module: string, coefficients: Coefficients | GroupedCoefficients): Coefficients {
  if (!('grouping' in coefficients)) return finite(coefficients);
  const group = coefficients.grouping(module);
  const pair = coefficients.values.get(group);
  if (!pair) throw new RangeError(`group ${group} of module ${module} has no fusion coefficients`);
  return finite(pair, ` of group ${group}`);
}

/** −1 for a module outside of the layers. */
function layerOf(module: string): number {
  return Number(/\.layers\.(\d+)\./.exec(module)?.[1] ?? -1);
}

function finite(pair: Coefficients, place = ''): Coefficients {
  const { alpha, beta } = pair;
  if (Number.isFinite(alpha) && Number.isFinite(beta)) return pair;
  throw new RangeError(`fusion coefficients${place} are alpha ${alpha} and beta ${beta}, expected finite numbers`);
}
