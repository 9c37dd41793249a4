import { halfPrecisionWeights } from '../graph/passes/weights/half-precision-weights.ts';
import { int8Weights } from '../graph/passes/weights/int8-weights.ts';
import { observeOperands } from '../graph/passes/weights/observe-operands.ts';
import { portableOperators } from '../graph/passes/portable-operators.ts';
import type { Graph } from '../graph/graph.ts';
import { cardOf, kindOf, type CompiledDevice, type CompiledKind } from '../../options/devices.ts';
import { checkPrecision } from './precision.ts';
import type { Precision } from '../../options/precisions.ts';

/** ONNX Runtime execution provider that runs a graph, with the properties that the graph depends on. */
export interface ExecutionProvider {
  /** ONNX Runtime's name of the provider; the CPU provider runs operators that this one lacks. */
  readonly name: CompiledKind;
  /** Index of the card to use, for a provider that may find several cards. */
  readonly card: number;
  readonly precision: Precision;
  /**
   * Whether each session keeps the base's weights in the memory of the provider's device. Otherwise the weights are
   * bound to every run, which costs nothing if the device uses the process's own memory.
   */
  readonly keepsWeights: boolean;
  /**
   * Whether each run also returns the largest magnitudes in the inputs of the base's matrices. The pass {@link
   * observeOperands} adds these outputs to the graph.
   */
  readonly observes: boolean;
  /** Function that rewrites a graph, after all other passes, for this provider and precision. */
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

/**
 * Provider that computes in float32 on the CPU and also returns the largest magnitudes in the inputs of the base's
 * matrices.
 */
export const OBSERVING_PROVIDER: ExecutionProvider = { ...CPU_PROVIDER, observes: true, rewrite: observeOperands };

const CPU_INT8_PROVIDER: ExecutionProvider = { ...CPU_PROVIDER, precision: 'int8', rewrite: int8Weights };

/**
 * Returns the execution provider of a device and precision.
 * @throws DeviceUnavailableError if the device does not support that precision
 */
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
