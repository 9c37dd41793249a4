import * as tf from '@tensorflow/tfjs';
import { elementwiseKernels } from './kernels/elementwise.ts';
import { fusedKernels } from './kernels/fused.ts';
import { gatherKernels } from './kernels/gather.ts';
import type { KernelTable } from './kernels/kernel.ts';
import { matmulKernels } from './kernels/matmul.ts';
import { reductionKernels } from './kernels/reductions.ts';
import { shapeKernels } from './kernels/shape.ts';
import { GraphBuilder } from './graph-builder.ts';
import { constantSymbol, elementType, valueSymbol, type TracedSymbol } from './symbol.ts';

export const TRACE_BACKEND = 'trace';

/** tfjs backend for tracing: its tensors are symbols, and its kernels record nodes of a graph instead of computing. */
class TraceBackend extends tf.KernelBackend {
  graph = new GraphBuilder();
  #symbols = new WeakMap<object, TracedSymbol>();

  /** Starts recording into an empty graph. */
  reset(): void {
    this.graph = new GraphBuilder();
    this.#symbols = new WeakMap();
  }

  symbolOf(info: tf.TensorInfo): TracedSymbol {
    const symbol = this.#symbols.get(info.dataId);
    if (!symbol) throw new Error('a tensor made outside the traced program cannot be used in it');
    return symbol;
  }

  toInfo(symbol: TracedSymbol): tf.TensorInfo {
    const dataId = {};
    this.#symbols.set(dataId, symbol);
    return { dataId, shape: [...symbol.shape], dtype: symbol.type as tf.DataType };
  }

  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): object {
    const type = elementType(dtype);
    const numbers = values as Float32Array | Int32Array | Uint8Array;
    const first = Number(numbers[0]);
    const uniform = numbers.every((value: number) => value === first);
    const symbol = uniform
      ? constantSymbol(first, shape, type)
      : valueSymbol(this.graph, this.graph.constant(type, shape, numbers));
    return this.toInfo(symbol).dataId;
  }

  override read(): Promise<never> {
    return Promise.reject(new Error('a traced tensor has no values to read'));
  }

  override readSync(): never {
    throw new Error('a traced tensor has no values to read');
  }

  override numDataIds(): number {
    return 0;
  }

  override memory() {
    return { unreliable: true };
  }

  override timerAvailable(): boolean {
    return false;
  }

  override floatPrecision(): 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override incRef(): void {}

  decRef(): void {}

  override disposeData(): boolean {
    return true;
  }

  override refCount(): number {
    return 1;
  }

  override move(): void {
    throw new Error('a tensor of another backend cannot be used in a traced program');
  }
}

export type { TraceBackend };

const TABLES: readonly KernelTable[] = [
  elementwiseKernels,
  reductionKernels,
  matmulKernels,
  shapeKernels,
  gatherKernels,
  fusedKernels,
];

/** Returns the tracing backend; the first call registers it with its kernels. */
export function traceBackend(): TraceBackend {
  if (!tf.engine().registryFactory[TRACE_BACKEND]) {
    tf.registerBackend(TRACE_BACKEND, () => new TraceBackend(), 0);
    for (const table of TABLES) for (const [name, kernel] of Object.entries(table)) registerKernel(name, kernel);
  }
  return tf.findBackend(TRACE_BACKEND) as TraceBackend;
}

function registerKernel(kernelName: string, kernel: KernelTable[string]): void {
  tf.registerKernel({
    kernelName,
    backendName: TRACE_BACKEND,
    kernelFunc: ({ inputs, attrs, backend }) => {
      const trace = backend as TraceBackend;
      const symbols = Object.entries(inputs).map(([name, info]) => [name, trace.symbolOf(info as tf.TensorInfo)]);
      const result = kernel(trace.graph, Object.fromEntries(symbols), attrs ?? {});
      return Array.isArray(result)
        ? result.map((symbol) => trace.toInfo(symbol))
        : trace.toInfo(result as TracedSymbol);
    },
  });
}
