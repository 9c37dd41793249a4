import * as tf from '@tensorflow/tfjs';

// Without it tfjs advertises tfjs-node on the console at the cpu backend's first use.
tf.enableProdMode();

/** Makes a backend that is set up synchronously (`cpu`, `trace`) the current one; tfjs has one at a time a process. */
export function selectBackend(name: string): void {
  void tf.setBackend(name);
}
