import { broadcast_util } from '@tensorflow/tfjs';
import { materialized } from '../symbol.ts';
import { emitSymbol, required, type KernelTable, type TraceKernel } from './kernel.ts';

/**
 * Two matrices become a Gemm (to which a later pass may fuse an addition), stacks of matrices a FusedMatMul: both
 * take transposed operands, so that weights stay in the layout of their files.
 */
const batchMatMul: TraceKernel = (graph, inputs, attributes) => {
  const a = required(inputs, 'a');
  const b = required(inputs, 'b');
  const { transposeA = false, transposeB = false } = attributes as { transposeA?: boolean; transposeB?: boolean };
  const rows = a.shape.at(transposeA ? -1 : -2)!;
  const columns = b.shape.at(transposeB ? -2 : -1)!;
  const stack = broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const matrices = a.shape.length === 2 && b.shape.length === 2;
  return emitSymbol(graph, {
    op: matrices ? 'Gemm' : 'FusedMatMul',
    domain: matrices ? '' : 'com.microsoft',
    inputs: [materialized(graph, a), materialized(graph, b)],
    shape: [...stack, rows, columns],
    attributes: { transA: Number(transposeA), transB: Number(transposeB) },
  });
};

export const matmulKernels: KernelTable = { BatchMatMul: batchMatMul };
