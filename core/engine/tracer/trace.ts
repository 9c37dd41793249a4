import * as tf from '@tensorflow/tfjs';
import { selectBackend } from '../eager/select-backend.ts';
import type { Graph, ValueInfo } from '../graph/graph.ts';
import { eliminateDeadNodes } from '../graph/passes/eliminate-dead-nodes.ts';
import { fuseSilu } from '../graph/passes/fuse-silu.ts';
import { fuseGemmAdd } from '../graph/passes/products/fuse-gemm-add.ts';
import { fuseSiblingProducts } from '../graph/passes/products/fuse-sibling-products.ts';
import { joinSummedProducts } from '../graph/passes/products/join-summed-products.ts';
import { rematerialize, type RematerializeOptions } from '../graph/passes/rematerialize.ts';
import { shareEqualNodes } from '../graph/passes/share-equal-nodes.ts';
import { materialized, valueSymbol } from './symbol.ts';
import { TRACE_BACKEND, traceBackend, type TraceBackend } from './trace-backend.ts';

/** Properties of a program on which the passes over its graph depend. */
type PassOptions = RematerializeOptions;

/** Passes that rewrite a recorded graph, in this order. */
export const PASSES: readonly ((graph: Graph, options: PassOptions) => Graph)[] = [
  eliminateDeadNodes,
  joinSummedProducts,
  fuseSiblingProducts,
  shareEqualNodes,
  fuseGemmAdd,
  rematerialize,
  fuseSilu,
];

/**
 * A program to be traced: a function of named tensors, written in tfjs ops and with its gradients if it computes any.
 */
export type TensorProgram = (inputs: Readonly<Record<string, tf.Tensor>>) => Readonly<Record<string, tf.Tensor>>;

/**
 * Records a program as a static graph by running it once on the tracing backend, and applies the passes.
 * @param inputs the program's inputs; unused ones are not in the graph
 * @throws Error if the program uses a tfjs kernel that the tracer does not support, or reads a value
 */
export function trace(
  program: TensorProgram,
  inputs: readonly ValueInfo[],
  options: PassOptions = { recompute: 'cheap' },
): Graph {
  return PASSES.reduce((graph, pass) => pass(graph, options), record(program, inputs));
}

/** A graph on its way through the passes. */
export interface TraceStage {
  /** Name of the pass that made the graph; null for the graph as recorded, before the first pass. */
  readonly pass: string | null;
  readonly graph: Graph;
}

/** Traces like {@link trace}, and returns the recorded graph and the result of each pass. */
export function traceStages(program: TensorProgram, inputs: readonly ValueInfo[], options: PassOptions): TraceStage[] {
  let graph = record(program, inputs);
  const stages: TraceStage[] = [{ pass: null, graph }];
  for (const pass of PASSES) {
    graph = pass(graph, options);
    stages.push({ pass: pass.name, graph });
  }
  return stages;
}

/** Records a program without applying any pass. */
export function record(program: TensorProgram, inputs: readonly ValueInfo[]): Graph {
  const backend = traceBackend();
  const previous = tf.engine().backendName as string | null;
  selectBackend(TRACE_BACKEND);
  backend.reset();
  try {
    tf.tidy(() => recordOutputs(backend, program(inputTensors(backend, inputs))));
    return backend.graph.build();
  } finally {
    backend.reset();
    if (previous) selectBackend(previous);
  }
}

function inputTensors(backend: TraceBackend, inputs: readonly ValueInfo[]): Record<string, tf.Tensor> {
  return Object.fromEntries(
    inputs.map((input) => {
      backend.graph.input(input);
      const { dataId, shape, dtype } = backend.toInfo(valueSymbol(backend.graph, input.name));
      return [input.name, tf.engine().makeTensorFromDataId(dataId, shape, dtype, backend)];
    }),
  );
}

function recordOutputs(backend: TraceBackend, outputs: Readonly<Record<string, tf.Tensor>>): void {
  for (const [name, tensor] of Object.entries(outputs)) {
    backend.graph.output(name, materialized(backend.graph, backend.symbolOf(tensor)));
  }
}
