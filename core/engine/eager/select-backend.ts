import * as tf from '@tensorflow/tfjs';

// Without this, tfjs advertises tfjs-node on the console when its cpu backend is first used.
tf.enableProdMode();

/**
 * Makes a backend the process's current one, of which tfjs has only one: `cpu`, `trace`, or one that was loaded before.
 * @throws Error where no such backend was loaded
 */
export function selectBackend(name: string): void {
  if (!tf.findBackendFactory(name)) throw new Error(`the tfjs backend ${name} is not loaded`);
  void tf.setBackend(name);
}
