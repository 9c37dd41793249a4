export const PRECISIONS = ['f32', 'f16', 'int8'] as const;
/**
 * Precision of the base's matrices on the device. `f16` is converted to 32 bits before any computation. `int8` is
 * multiplied as it is, with activations and gradients in 8 bits, too. Adapters are always computed in float32.
 */
export type Precision = (typeof PRECISIONS)[number];

/**
 * Precisions that a user may choose. `auto` is `int8` on a CPU if measurements show it to be fast and close to float32,
 * and `f32` otherwise.
 */
export const PRECISION_SETTINGS = ['auto', ...PRECISIONS] as const;
export type PrecisionSetting = (typeof PRECISION_SETTINGS)[number];

/**
 * Default size limit, in GiB, of the store that keeps matrices rounded to 8 bits. It holds two versions of a base of
 * 1.1 billion parameters, at 2 bytes for each weight of their layers.
 */
export const INT8_CACHE_GB = 4;
