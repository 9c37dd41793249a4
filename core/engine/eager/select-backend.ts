import * as tf from '@tensorflow/tfjs';

// Without it tfjs advertises tfjs-node on the console at the cpu backend's first use.
tf.enableProdMode();

/**
 * Makes a backend the current one; tfjs has one at a time a process. It is `cpu`, `trace`, or one that was loaded before.
 * @throws Error where no such backend was loaded
 */
export function selectBackend(name: string): void {
  if (!tf.findBackendFactory(name)) throw new Error(`the tfjs backend ${name} is not loaded`);
  void tf.setBackend(name);
}
