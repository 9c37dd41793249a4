/** Names of strategies, evolutions and sizes that the registered hypotheses are about (lab/docs/protocol.md). */
export const AUTO = 'auto';
/** The same without what other tenants' searches have found. */
export const ALONE = 'auto-alone';
export const PAPER = 'paper';
export const SCRATCH = 'scratch';
export const HELPFUL = 'helpful';
export const SMALL_SIZES = [64, 256] as const;
/** Number of adapters that share the computation of an evolution, however many of them are measured. */
export const FLEET = 20;
