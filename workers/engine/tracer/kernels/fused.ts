import type { FusedKernel } from '../../fused-ops.ts';
import { materialised, valueSymbol } from '../symbol.ts';
import { emit, emitSymbol, required, type TraceKernel } from './kernel.ts';

/** Inputs x [rows, n] and weight [n]; outputs the normalised rows and 1 / √(mean(x²) + ε), [rows, 1]. */
const rmsNorm: TraceKernel = (graph, inputs, attributes) => {
  const x = required(inputs, 'x');
  const names = graph.node({
    op: 'SimplifiedLayerNormalization',
    inputs: [materialised(graph, x), materialised(graph, required(inputs, 'weight'))],
    outputs: [
      { shape: x.shape, type: 'float32' },
      { shape: [...x.shape.slice(0, -1), 1], type: 'float32' },
    ],
    attributes: { axis: -1, epsilon: { float: attributes['epsilon'] as number } },
  });
  return names.map((name) => valueSymbol(graph, name));
};

/** Inputs x [rows, length, heads, headDim], cos and sin [length, headDim / 2]; outputs x rotated. */
const rotary: TraceKernel = (graph, inputs) => {
  const x = required(inputs, 'x');
  const [rows, length, heads, headDim] = x.shape as [number, number, number, number];
  const flat = [rows, length, heads * headDim];
  const reshape = (name: string, shape: readonly number[]) =>
    emit(graph, { op: 'Reshape', inputs: [name, graph.integers(shape)], shape });
  const tables = ['cos', 'sin'].map((name) => materialised(graph, required(inputs, name)));
  const rotated = emit(graph, {
    op: 'RotaryEmbedding',
    domain: 'com.microsoft',
    inputs: [reshape(materialised(graph, x), flat), graph.integers([0]), ...tables],
    shape: flat,
    attributes: { num_heads: heads, interleaved: 0 },
  });
  return [emitSymbol(graph, { op: 'Reshape', inputs: [rotated, graph.integers(x.shape)], shape: x.shape })];
};

/** Operators that ONNX Runtime has in one piece and tfjs does not. */
export const fusedKernels: Readonly<Record<FusedKernel, TraceKernel>> = {
  ReadaptRmsNorm: rmsNorm,
  ReadaptRotary: rotary,
};
