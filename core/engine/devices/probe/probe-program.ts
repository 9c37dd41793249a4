import * as ort from '../../compiled/onnx-runtime.ts';
import * as tf from '@tensorflow/tfjs';
import { rmsNorm } from '../../decoder/rms-norm.ts';
import { createSession, modelFor } from '../../compiled/create-session.ts';
import { selectBackend } from '../../eager/select-backend.ts';
import { elementCount } from '../../graph/graph.ts';
import { trace } from '../../tracer/trace.ts';
import { BACKEND_OF, isEager, type CompiledDevice, type Device, type EagerDevice } from '../../../options/devices.ts';
import { openDevice } from '../open-device.ts';
import type { Precision } from '../../../options/precisions.ts';
import { executionProviderOf } from '../execution-provider.ts';

const SIZES = { rows: 6, width: 16, columns: 8 };

/** Names and shapes of the probe program's inputs. Their values are fixed, irregular numbers in [−1, 1]. */
const INPUTS = [
  { name: 'x', shape: [SIZES.rows, SIZES.width] },
  { name: 'norm', shape: [SIZES.width] },
  { name: 'w', shape: [SIZES.columns, SIZES.width] },
].map(({ name, shape }, phase) => {
  const data = Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(phase + i * i));
  return { name, shape, type: 'float32', data } as const;
});

/**
 * Computes the loss Σ softmax(rmsNorm(x) Wᵀ)² with its gradients by x and W. This covers a matrix product, its
 * gradients with respect to both operands, and RMSNorm, for which ONNX Runtime's own operator gives a wrong gradient on
 * WebGPU.
 */
function program(inputs: Readonly<Record<string, tf.Tensor>>): Record<string, tf.Tensor> {
  const { x, norm, w } = inputs as { x: tf.Tensor2D; norm: tf.Tensor1D; w: tf.Tensor2D };
  const loss = (x: tf.Tensor, w: tf.Tensor): tf.Scalar => {
    const product = tf.matMul(rmsNorm(x as tf.Tensor2D, norm, 1e-5), w, false, true);
    return tf.softmax(product).square().sum();
  };
  const { value, grads } = tf.valueAndGrads(loss)([x, w]);
  const [dx, dw] = grads as [tf.Tensor, tf.Tensor];
  return { loss: value, dx, dw };
}

/** Output arrays of the probe program, by name. */
type Numbers = ReadonlyMap<string, Float32Array>;

/**
 * Largest accepted difference from the reference, relative to the largest number of each output. int8 has the tolerance
 * of f32 because it applies to matrices of layers, of which this program has none.
 */
const PROBE_TOLERANCE: Readonly<Record<Precision, number>> = { f32: 1e-4, f16: 2e-3, int8: 1e-4 };

/**
 * Runs a small program on a device and compares its loss and gradients with those of tfjs' `cpu` backend.
 * @returns the largest relative difference
 * @throws Error if the device cannot run the program or gives different numbers
 */
export async function runProbe(device: Device, precision: Precision = 'f32'): Promise<number> {
  const found = isEager(device) ? await runEager(device) : await runCompiled(device, precision);
  const expected = runOnBackend('cpu');
  const errors = [...expected].map(([name, values]) => relativeDifference(found.get(name), values));
  const worst = errors.some(Number.isNaN) ? NaN : Math.max(...errors);
  const tolerance = PROBE_TOLERANCE[precision];
  if (worst <= tolerance) return worst;
  throw new Error(
    `its numbers are wrong: off by ${worst.toExponential(1)} of the largest, expected at most ${tolerance}`,
  );
}

async function runCompiled(device: CompiledDevice, precision: Precision): Promise<Numbers> {
  const provider = executionProviderOf(device, precision);
  const supported = ort.listSupportedBackends().map(({ name }) => name);
  if (!supported.includes(provider.name)) {
    const platform = `${process.platform} ${process.arch}`;
    throw new Error(
      `ONNX Runtime's package for Node has no ${provider.name} provider on ${platform}, only ${supported.join(', ')}`,
    );
  }
  await openDevice(device);
  const weights = new Map(INPUTS.flatMap(({ name, data }) => (name === 'w' ? [[name, data]] : [])));
  const session = await createSession(modelFor(provider, trace(program, INPUTS), weights), { provider });
  const bound = INPUTS.filter(({ name }) => session.inputNames.includes(name));
  const feeds = bound.map(({ name, shape, data }) => [name, new ort.Tensor('float32', data, shape)]);
  const outputs = await session.run(Object.fromEntries(feeds));
  const numbers = Object.entries(outputs).map(([name, { data }]): [string, Float32Array] => {
    return [name, Float32Array.from(data as Float32Array)];
  });
  await session.release();
  return new Map(numbers);
}

async function runEager(device: EagerDevice): Promise<Numbers> {
  await openDevice(device);
  const numbers = runOnBackend(BACKEND_OF[device]);
  if (device === 'tfjs-node-gpu' && !usesGpu()) throw new Error('no GPU in use');
  return numbers;
}

function usesGpu(): boolean {
  return (tf.backend() as { isUsingGpuDevice?: boolean }).isUsingGpuDevice === true;
}

function runOnBackend(backend: string): Numbers {
  selectBackend(backend);
  const numbers = new Map<string, Float32Array>();
  tf.tidy(() => {
    const tensors = INPUTS.map(({ name, shape, data }) => [name, tf.tensor(data, [...shape], 'float32')]);
    for (const [name, tensor] of Object.entries(program(Object.fromEntries(tensors)))) {
      numbers.set(name, tensor.dataSync<'float32'>().slice());
    }
  });
  return numbers;
}

/**
 * Returns the largest difference between two arrays of numbers, relative to the largest expected number; NaN if a found
 * number is missing or not finite.
 */
function relativeDifference(found: Float32Array | undefined, expected: Float32Array): number {
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, index) => Math.abs(value - (found?.[index] ?? NaN)) / scale));
}
