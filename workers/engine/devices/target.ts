import type { Graph } from '../tracer/graph.ts';
import { portableOperators } from '../tracer/passes/portable-operators.ts';
import type { CompiledDevice } from './device.ts';

/** Where ONNX Runtime runs a graph. */
export interface Target {
  /** ONNX Runtime's execution provider; what it cannot run, the CPU provider does. */
  readonly provider: CompiledDevice;
  /** What the finished graph becomes for that provider. */
  readonly rewrite: (graph: Graph) => Graph;
}

export const CPU_TARGET: Target = { provider: 'cpu', rewrite: (graph) => graph };

export const TARGETS: Readonly<Record<CompiledDevice, Target>> = {
  cpu: CPU_TARGET,
  cuda: { provider: 'cuda', rewrite: portableOperators },
  webgpu: { provider: 'webgpu', rewrite: portableOperators },
};
