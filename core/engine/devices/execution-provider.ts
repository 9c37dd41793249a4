import { halfPrecisionWeights } from '../graph/passes/weights/half-precision-weights.ts';
import { int8Weights } from '../graph/passes/weights/int8-weights.ts';
import { observeOperands } from '../graph/passes/weights/observe-operands.ts';
import { portableOperators } from '../graph/passes/portable-operators.ts';
import type { Graph } from '../graph/graph.ts';
import { cardOf, kindOf, type CompiledDevice, type CompiledKind } from '../../options/devices.ts';
import { checkPrecision } from './precision.ts';
import type { Precision } from '../../options/precisions.ts';

/** What of ONNX Runtime runs a graph, and what the graph has to be for it. */
export interface ExecutionProvider {
  /** ONNX Runtime's name of the provider; the CPU provider runs the operators that this one lacks. */
  readonly name: CompiledKind;
  /** The number of the card, for a provider that has several. */
  readonly card: number;
  readonly precision: Precision;
  /**
   * Whether each session keeps the base's weights in its device's memory. Otherwise they are bound to every run, which
   * costs nothing where that memory is the process's own.
   */
  readonly keepsWeights: boolean;
  /** Whether graphs also tell how large the operands of the base's matrices are. */
  readonly observes: boolean;
  /** Rewrites the finished graph for this provider and precision. */
  readonly rewrite: (graph: Graph) => Graph;
}

export const CPU_PROVIDER: ExecutionProvider = {
  name: 'cpu',
  card: 0,
  precision: 'f32',
  keepsWeights: false,
  observes: false,
  rewrite: (graph) => graph,
};

/** float32 on the CPU with {@link observeOperands}. */
export const OBSERVING_PROVIDER: ExecutionProvider = { ...CPU_PROVIDER, observes: true, rewrite: observeOperands };

const CPU_INT8_PROVIDER: ExecutionProvider = { ...CPU_PROVIDER, precision: 'int8', rewrite: int8Weights };

/** @throws DeviceUnavailableError where the device cannot keep the base in that precision */
export function executionProviderOf(device: CompiledDevice, precision: Precision = 'f32'): ExecutionProvider {
  checkPrecision(device, precision);
  if (device === 'cpu') return precision === 'int8' ? CPU_INT8_PROVIDER : CPU_PROVIDER;
  const halved = (graph: Graph): Graph => halfPrecisionWeights(portableOperators(graph));
  return {
    name: kindOf(device),
    card: cardOf(device),
    precision,
    keepsWeights: true,
    observes: false,
    rewrite: precision === 'f32' ? portableOperators : halved,
  };
}
