import type { Graph } from '../tracer/graph.ts';

/** Where ONNX Runtime runs a graph. */
export interface Target {
  /** ONNX Runtime's execution provider; what it cannot run, the CPU provider does. */
  readonly provider: 'cpu' | 'cuda' | 'webgpu';
  /** What the finished graph becomes for that provider. */
  readonly rewrite: (graph: Graph) => Graph;
}

export const CPU_TARGET: Target = { provider: 'cpu', rewrite: (graph) => graph };
