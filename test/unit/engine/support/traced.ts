import * as tf from '@tensorflow/tfjs';
import * as ort from '../../../../core/engine/compiled/onnx-runtime.ts';
import { encodeModel } from '../../../../core/engine/onnx/encode-model.ts';
import { selectBackend } from '../../../../core/engine/eager/select-backend.ts';
import type { Graph, ValueInfo } from '../../../../core/engine/graph/graph.ts';
import type { TensorProgram } from '../../../../core/engine/tracer/trace.ts';

export type Data = Readonly<Record<string, Float32Array | Int32Array>>;

/** Lists a graph's operators in order, without the Identity nodes that name its outputs. */
export function operators(graph: Graph): string[] {
  return graph.nodes.map((node) => node.op).filter((op) => op !== 'Identity');
}

export async function runGraph(graph: Graph, data: Data): Promise<Record<string, number[]>> {
  const session = await ort.InferenceSession.create(encodeModel(graph), { intraOpNumThreads: 1 });
  const feeds = graph.inputs.map(({ name, shape, type }) => {
    return [name, new ort.Tensor(type as 'float32', data[name] as Float32Array, shape)];
  });
  const outputs = await session.run(Object.fromEntries(feeds));
  await session.release();
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data as Float32Array)]),
  );
}

/** Runs a program on tfjs' own cpu backend. */
export function runEager(program: TensorProgram, inputs: readonly ValueInfo[], data: Data): Record<string, number[]> {
  selectBackend('cpu');
  const results: Record<string, number[]> = {};
  tf.tidy(() => {
    const tensors = inputs.map(({ name, shape, type }) => [
      name,
      tf.tensor(data[name]!, [...shape], type as 'float32'),
    ]);
    for (const [name, tensor] of Object.entries(program(Object.fromEntries(tensors)))) {
      results[name] = Array.from(tensor.dataSync());
    }
  });
  return results;
}
