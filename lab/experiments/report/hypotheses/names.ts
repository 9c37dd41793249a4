/** Name of the strategy that the registered hypotheses are about (lab/docs/protocol.md). */
export const AUTO = 'auto';
/** Name of `auto` without the searches of other tenants. */
export const ALONE = 'auto-alone';
export const PAPER = 'paper';
export const SCRATCH = 'scratch';
export const HELPFUL = 'helpful';
export const SMALL_SIZES = [64, 256] as const;
/** Number of adapters that share the computation of an evolution, independent of the number measured. */
export const FLEET = 20;
