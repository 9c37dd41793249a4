import os from 'node:os';
import { requireEqual, type DenseMatrix, type Matrix } from '../../linalg/matrix.ts';
import type { MatrixProducts } from '../../linalg/products.ts';
import { CPU_PROVIDER } from '../devices/execution-provider.ts';
import type { Graph, GraphNode, ValueInfo } from '../graph/graph.ts';
import { SYMBOLIC_SIZES } from '../graph/symbolic-sizes.ts';
import { encodeSplitModel } from '../onnx/encode-model.ts';
import { DATA_TYPE } from '../onnx/schema.ts';
import { createSession } from './create-session.ts';
import * as ort from './onnx-runtime.ts';

/**
 * Smallest number of multiplications for which a product runs on all threads. A smaller product takes one thread some
 * 50 µs, which is hardly more than the time to wake the other threads, and much less than that on a busy machine.
 */
const PARALLEL_THRESHOLD = 2 ** 20;

/**
 * Float32 products by ONNX Runtime on all threads of the CPU; Gram matrices are summed in float64. Float64 operands are
 * rounded. ONNX Runtime blocks the event loop while it computes. The caller disposes of the object.
 */
export class OnnxProducts implements MatrixProducts {
  readonly #threads: number;
  /** Inference sessions of products created so far, by graph and number of threads. */
  readonly #sessions = new Map<string, Promise<ort.InferenceSession>>();

  /** @param threads number of threads; default: the number of CPUs */
  constructor(threads = os.availableParallelism()) {
    this.#threads = threads;
  }

  async times(a: DenseMatrix, b: DenseMatrix): Promise<DenseMatrix> {
    requireEqual('times', 'inner dimensions', a.cols, b.rows);
    const data = await this.#run('product', { a, b }, a.rows * a.cols * b.cols);
    return { rows: a.rows, cols: b.cols, data: data as Float32Array };
  }

  async sumOfTimesTransposed(a: DenseMatrix, b: DenseMatrix, c: DenseMatrix, d: DenseMatrix): Promise<DenseMatrix> {
    requireEqual('sumOfTimesTransposed', 'inner dimensions', a.cols, b.cols);
    requireEqual('sumOfTimesTransposed', 'inner dimensions', c.cols, d.cols);
    requireEqual('sumOfTimesTransposed', 'rows', a.rows, c.rows);
    requireEqual('sumOfTimesTransposed', 'columns', b.rows, d.rows);
    const data = await this.#run('sumOfProducts', { a, b, c, d }, a.rows * (a.cols + c.cols) * b.rows);
    return { rows: a.rows, cols: b.rows, data: data as Float32Array };
  }

  async transposedTimes(a: DenseMatrix, b: DenseMatrix): Promise<DenseMatrix> {
    requireEqual('transposedTimes', 'inner dimensions', a.rows, b.rows);
    const data = await this.#run('transposedProduct', { a, b }, a.rows * a.cols * b.cols);
    return { rows: a.cols, cols: b.cols, data: data as Float32Array };
  }

  async gram(a: DenseMatrix): Promise<Matrix> {
    const data = await this.#run('gram', { a }, a.rows * a.cols * a.cols);
    return { rows: a.cols, cols: a.cols, data: data as Float64Array };
  }

  async dispose(): Promise<void> {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const session of sessions) await (await session).release();
  }

  async #run(
    name: keyof typeof GRAPHS,
    operands: Readonly<Record<string, DenseMatrix>>,
    multiplications: number,
  ): Promise<ort.Tensor['data']> {
    const feeds = Object.entries(operands).map(([name, { rows, cols, data }]) => {
      const values = data instanceof Float32Array ? data : new Float32Array(data);
      return [name, new ort.Tensor('float32', values, [rows, cols])] as const;
    });
    const session = await this.#session(name, multiplications < PARALLEL_THRESHOLD ? 1 : this.#threads);
    const { product } = await session.run(Object.fromEntries(feeds));
    return product!.data;
  }

  #session(name: keyof typeof GRAPHS, threads: number): Promise<ort.InferenceSession> {
    const key = `${name} ${threads}`;
    let session = this.#sessions.get(key);
    if (!session) {
      session = createSession(encodeSplitModel(GRAPHS[name]), { provider: CPU_PROVIDER, threads });
      this.#sessions.set(key, session);
    }
    return session;
  }
}

/** Makes an {@link OnnxProducts}, passes it to `use`, and disposes of it afterwards, even if `use` fails. */
export async function withOnnxProducts<T>(use: (products: MatrixProducts) => Promise<T>): Promise<T> {
  const products = new OnnxProducts();
  try {
    return await use(products);
  } finally {
    await products.dispose();
  }
}

// Arbitrary symbolic sizes, which may differ from call to call.
const { tokens: ROWS, labels: INNER, bins: COLS, repeats: OTHER_INNER } = SYMBOLIC_SIZES;

const GRAPHS = {
  product: gemmGraph([ROWS, INNER], [INNER, COLS], 0),
  sumOfProducts: sumGraph(),
  transposedProduct: gemmGraph([INNER, ROWS], [INNER, COLS], 1),
  gram: gramGraph(),
};

function gemmGraph(a: readonly number[], b: readonly number[], transA: number): Graph {
  const inputs = [value('a', a), value('b', b)];
  return graphOf(inputs, [node('Gemm', ['a', 'b'], 'product', { transA })], value('product', [ROWS, COLS]));
}

function sumGraph(): Graph {
  const one = [value('a', [ROWS, INNER]), value('b', [COLS, INNER])];
  const other = [value('c', [ROWS, OTHER_INNER]), value('d', [COLS, OTHER_INNER])];
  const nodes = [
    node('Gemm', ['a', 'b'], 'one', { transB: 1 }),
    node('Gemm', ['c', 'd', 'one'], 'product', { transB: 1 }),
  ];
  return graphOf([...one, ...other], nodes, value('product', [ROWS, COLS]), [value('one', [ROWS, COLS])]);
}

function gramGraph(): Graph {
  const wide: ValueInfo = { name: 'wide', shape: [ROWS, COLS], type: 'float64' };
  const nodes = [
    node('Cast', ['a'], 'wide', { to: DATA_TYPE.float64 }),
    node('Gemm', ['wide', 'wide'], 'product', { transA: 1 }),
  ];
  return graphOf([value('a', [ROWS, COLS])], nodes, { name: 'product', shape: [COLS, COLS], type: 'float64' }, [wide]);
}

function value(name: string, shape: readonly number[]): ValueInfo {
  return { name, shape, type: 'float32' };
}

function node(op: string, inputs: string[], output: string, attributes: Record<string, number>): GraphNode {
  return { op, domain: '', inputs, outputs: [output], attributes };
}

function graphOf(
  inputs: readonly ValueInfo[],
  nodes: readonly GraphNode[],
  output: ValueInfo,
  others: readonly ValueInfo[] = [],
): Graph {
  const values = new Map([...inputs, ...others, output].map((info) => [info.name, info]));
  return { inputs, outputs: [output], constants: [], nodes, values };
}
