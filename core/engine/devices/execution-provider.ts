import type { Graph } from '../graph/graph.ts';
import { int8Weights } from '../graph/passes/weights/int8-weights.ts';
import { halfPrecisionWeights } from '../graph/passes/weights/half-precision-weights.ts';
import { portableOperators } from '../graph/passes/portable-operators.ts';
import type { CompiledDevice } from './device.ts';
import { checkPrecision, type Precision } from './precision.ts';

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

const CPU_INT8_TARGET: Target = { ...CPU_TARGET, precision: 'int8', rewrite: int8Weights };

/** @throws DeviceUnavailableError where the device does not keep the base in that precision */
export function targetOf(device: CompiledDevice, precision: Precision = 'f32'): Target {
  checkPrecision(device, precision);
  if (device === 'cpu') return precision === 'int8' ? CPU_INT8_TARGET : CPU_TARGET;
  const halved = (graph: Graph): Graph => halfPrecisionWeights(portableOperators(graph));
  return { provider: device, precision, keepsWeights: true, rewrite: precision === 'f32' ? portableOperators : halved };
}
