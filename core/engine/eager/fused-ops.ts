import * as tf from '@tensorflow/tfjs';

/**
 * Operations that some backends have in one piece although tfjs has no op for them. They are ordinary tfjs kernels;
 * the tracing backend registers them, others do without.
 */
export type FusedKernel = 'ReadaptRmsNorm' | 'ReadaptRotary' | 'ReadaptScatterAdd';

/** Runs the current backend's fused kernel, or `composite`, which computes the same from tfjs ops. */
export function runFused(
  kernel: FusedKernel,
  call: { inputs: Record<string, tf.Tensor>; attributes?: Record<string, number> },
  composite: () => tf.Tensor[],
): tf.Tensor[] {
  if (!tf.getKernel(kernel, tf.getBackend())) return composite();
  return tf.engine().runKernel(kernel, call.inputs, call.attributes ?? {});
}
