export const PRECISIONS = ['f32', 'f16', 'int8'] as const;
/**
 * What the base's matrices are kept in on the device. f16 is widened before anything is computed; int8 is multiplied as
 * it is, with activations and gradients in 8 bits, too. Adapters are always computed in float32.
 */
export type Precision = (typeof PRECISIONS)[number];

/** What a user may ask for. `auto` is int8 on a CPU where that measures fast and near float32, and f32 elsewhere. */
export const PRECISION_SETTINGS = ['auto', ...PRECISIONS] as const;
export type PrecisionSetting = (typeof PRECISION_SETTINGS)[number];

/**
 * Default size of the store of rounded matrices, in GiB: two versions of a base of 1.1 billion parameters fit, at 2 bytes
 * for each weight of their layers.
 */
export const INT8_CACHE_GB = 4;
