import { broadcast_util } from '@tensorflow/tfjs';
import { materialized, type TracedSymbol } from '../symbol.ts';
import { emitSymbol, required, type KernelTable, type TraceKernel } from './kernel.ts';

/**
 * Records a Gemm for two matrices, into which a later pass may fuse an addition, and a FusedMatMul for stacks of
 * matrices. Both support transposed operands, so that weights keep the layout of their files.
 */
const batchMatMul: TraceKernel = (graph, inputs, attributes) => {
  const a = required(inputs, 'a');
  const b = required(inputs, 'b');
  const { transposeA = false, transposeB = false } = attributes as { transposeA?: boolean; transposeB?: boolean };
  const [rows] = lastAxes(a, transposeA);
  const [, columns] = lastAxes(b, transposeB);
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

/**
 * Returns the numbers of rows and columns of the matrices in an operand, after they have been transposed if necessary.
 */
function lastAxes({ shape }: TracedSymbol, transposed: boolean): [number, number] {
  const [rows, columns] = shape.slice(-2) as [number, number];
  return transposed ? [columns, rows] : [rows, columns];
}

export const matmulKernels: KernelTable = { BatchMatMul: batchMatMul };
