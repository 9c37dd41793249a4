import type { Graph } from '../tracer/graph.ts';
import { halfPrecisionProducts } from '../tracer/passes/half-precision-products.ts';
import { portableOperators } from '../tracer/passes/portable-operators.ts';
import type { CompiledDevice } from './device.ts';

/** What matrix products are computed in; everything else is float32 in both. */
export type Precision = 'f32' | 'f16';

export const PRECISIONS: readonly Precision[] = ['f32', 'f16'];

/** Where ONNX Runtime runs a graph, and how. */
export interface Target {
  /** ONNX Runtime's execution provider; what it cannot run, the CPU provider does. */
  readonly provider: CompiledDevice;
  readonly precision: Precision;
  /**
   * Each session keeps the base's weights in its device's memory. Else they are bound to every run, which costs nothing
   * where that memory is the process's own.
   */
  readonly keepsWeights: boolean;
  /** What the finished graph becomes for that provider. */
  readonly rewrite: (graph: Graph) => Graph;
}

export const CPU_TARGET: Target = { provider: 'cpu', precision: 'f32', keepsWeights: false, rewrite: (graph) => graph };

/** @throws RangeError for float16 on the CPU, which computes it no faster */
export function targetOf(device: CompiledDevice, precision: Precision = 'f32'): Target {
  if (device === 'cpu') {
    if (precision === 'f32') return CPU_TARGET;
    throw new RangeError(`precision ${precision} was asked for on device cpu, expected cuda or webgpu`);
  }
  const rewrite = precision === 'f32' ? portableOperators : (graph: Graph) => halfPrecisionProducts(portableOperators(graph));
  return { provider: device, precision, keepsWeights: true, rewrite };
}
