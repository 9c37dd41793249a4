import * as tf from '@tensorflow/tfjs';

/**
 * Operations that a backend may implement as one kernel although tfjs has no op for them. They are ordinary tfjs
 * kernels; the tracing backend registers them, and other backends run their composite form.
 */
export type FusedKernel = 'ReadaptRmsNorm' | 'ReadaptRotary' | 'ReadaptScatterAdd';

interface FusedCall {
  readonly inputs: Record<string, tf.Tensor>;
  readonly attributes?: Record<string, number>;
}

/** Runs the current backend's fused kernel, or otherwise `composite`, which computes the same from tfjs ops. */
export function runFused<T extends tf.Tensor[]>(kernel: FusedKernel, call: FusedCall, composite: () => T): T {
  if (!tf.getKernel(kernel, tf.getBackend())) return composite();
  return tf.engine().runKernel<T>(kernel, call.inputs, call.attributes ?? {});
}
