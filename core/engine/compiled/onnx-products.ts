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
 * Products in float32 by ONNX Runtime on all threads of the CPU; Gram matrices are summed in float64. Operands in float64
 * are rounded. ONNX Runtime blocks the event loop while it computes. The caller disposes of it.
 */
export class OnnxProducts implements MatrixProducts {
  readonly #threads: number;
  /** Sessions that were needed so far. */
  readonly #sessions = new Map<Graph, Promise<ort.InferenceSession>>();

  /** @param threads default: the number of CPUs */
  constructor(threads = os.availableParallelism()) {
    this.#threads = threads;
  }

  async times(a: DenseMatrix, b: DenseMatrix): Promise<DenseMatrix> {
    requireEqual('times', 'inner dimensions', a.cols, b.rows);
    const data = await this.#run(PRODUCT, { a, b });
    return { rows: a.rows, cols: b.cols, data: data as Float32Array };
  }

  async transposedTimes(a: DenseMatrix, b: DenseMatrix): Promise<DenseMatrix> {
    requireEqual('transposedTimes', 'inner dimensions', a.rows, b.rows);
    const data = await this.#run(TRANSPOSED_PRODUCT, { a, b });
    return { rows: a.cols, cols: b.cols, data: data as Float32Array };
  }

  async gram(a: DenseMatrix): Promise<Matrix> {
    const data = await this.#run(GRAM, { a });
    return { rows: a.cols, cols: a.cols, data: data as Float64Array };
  }

  async dispose(): Promise<void> {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const session of sessions) await (await session).release();
  }

  async #run(graph: Graph, operands: Readonly<Record<string, DenseMatrix>>): Promise<ort.Tensor['data']> {
    const feeds = Object.entries(operands).map(([name, { rows, cols, data }]) => {
      const values = data instanceof Float32Array ? data : Float32Array.from(data);
      return [name, new ort.Tensor('float32', values, [rows, cols])] as const;
    });
    const { product } = await (await this.#session(graph)).run(Object.fromEntries(feeds));
    return product!.data;
  }

  #session(graph: Graph): Promise<ort.InferenceSession> {
    let session = this.#sessions.get(graph);
    if (!session) {
      session = createSession(encodeSplitModel(graph), { provider: CPU_PROVIDER, threads: this.#threads });
      this.#sessions.set(graph, session);
    }
    return session;
  }
}

/** Makes products, passes them to `use`, and disposes of them whether `use` succeeds or fails. */
export async function withOnnxProducts<T>(use: (products: MatrixProducts) => Promise<T>): Promise<T> {
  const products = new OnnxProducts();
  try {
    return await use(products);
  } finally {
    await products.dispose();
  }
}

// Any sizes that differ from call to call would do.
const { tokens: ROWS, labels: INNER, bins: COLS } = SYMBOLIC_SIZES;

const PRODUCT = gemmGraph([ROWS, INNER], [INNER, COLS], 0);
const TRANSPOSED_PRODUCT = gemmGraph([INNER, ROWS], [INNER, COLS], 1);
const GRAM = gramGraph();

function gemmGraph(a: readonly number[], b: readonly number[], transA: number): Graph {
  const inputs = [value('a', a), value('b', b)];
  return graphOf(inputs, [node('Gemm', ['a', 'b'], 'product', { transA })], value('product', [ROWS, COLS]));
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
