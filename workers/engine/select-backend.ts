import * as tf from '@tensorflow/tfjs';

/** Makes a backend that is set up synchronously (`cpu`, `trace`) the current one; tfjs has one at a time a process. */
export function selectBackend(name: string): void {
  void tf.setBackend(name);
}
