import * as tf from '@tensorflow/tfjs';

// Otherwise tfjs advertises tfjs-node on the console when its cpu backend is first used.
tf.enableProdMode();

/**
 * Selects the current tfjs backend of the process: `cpu`, `trace`, or one that was loaded before.
 * @throws Error if no such backend was loaded
 */
export function selectBackend(name: string): void {
  if (!tf.findBackendFactory(name)) throw new Error(`the tfjs backend ${name} is not loaded`);
  void tf.setBackend(name);
}
