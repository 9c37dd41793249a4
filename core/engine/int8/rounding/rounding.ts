import type { Tensor } from '../../../models/base-model.ts';
import { SPINNING } from '../../compiled/create-session.ts';
import * as ort from '../../compiled/onnx-runtime.ts';
import type { Graph, ValueInfo } from '../../graph/graph.ts';
import { GraphEdit } from '../../graph/graph-edit.ts';
import { SYMBOLIC_SIZES } from '../../graph/symbolic-sizes.ts';
import { encodeModel } from '../../onnx/encode-model.ts';
import type { IntegerArray, WeightIntegers } from '../weight-integers.ts';
import type { Direction, RoundedMatrix } from './int8-matrix.ts';

/** Largest integer of a rounded weight. */
const LEVELS = 127;

/**
 * Smallest divisor of a column. It lets a column of zeros remain zero, and is below the magnitude of any meaningful
 * column.
 */
const SMALLEST = 1e-30;

/** Symbolic sizes of W's rows and columns, so that one graph rounds matrices of all shapes. */
const [OUT, IN] = [SYMBOLIC_SIZES.tokens, SYMBOLIC_SIZES.labels];

/** Arrays that receive the integers of a matrix's forward and backward form. */
export type Integers = Partial<Readonly<Record<Direction, IntegerArray>>>;

/**
 * Rounds matrices to 8 bits with ONNX Runtime, on the given number of threads. Each column of a rounded form has 255
 * levels, symmetric about 0 and up to the column's largest magnitude; a number halfway between two levels becomes the
 * even one.
 */
export class Rounding {
  readonly #session: ort.InferenceSession;
  readonly #form: WeightIntegers;

  private constructor(session: ort.InferenceSession, form: WeightIntegers) {
    this.#session = session;
    this.#form = form;
  }

  /** @param form form of the integers that {@link round} returns */
  static async create(options: { readonly threads: number; readonly form: WeightIntegers }): Promise<Rounding> {
    const { threads, form } = options;
    // Without an arena, ONNX Runtime would allocate every matrix-sized array anew.
    const sessionOptions = {
      graphOptimizationLevel: 'disabled',
      enableCpuMemArena: true,
      intraOpNumThreads: threads,
      extra: { session: SPINNING },
    } as const;
    return new Rounding(await ort.InferenceSession.create(encodeModel(roundingGraph(form)), sessionOptions), form);
  }

  /**
   * Rounds W and (W diag(factors))ᵀ.
   * @param weight W [out, in]
   * @param factors [in], all positive
   * @param into arrays of W's size that receive the integers; default: new ones
   * @returns arrays owned by the caller
   */
  async round({ shape, data }: Tensor, factors: Float32Array, into: Integers = {}): Promise<RoundedMatrix> {
    const [rows, columns] = shape as [number, number];
    const { type, ArrayType } = this.#form;
    const integers = (direction: Direction) => into[direction] ?? new ArrayType(data.length);
    const [forScales, backScales] = [new Float32Array(rows), new Float32Array(columns)];
    const backward = { shape: [rows, columns], integers: integers('backward'), scales: backScales } as const;
    const forward = { shape: [columns, rows], integers: integers('forward'), scales: forScales } as const;
    const inputs = {
      weight: new ort.Tensor('float32', data, shape),
      factors: new ort.Tensor('float32', factors, [columns]),
    };
    await this.#session.run(inputs, {
      backward: new ort.Tensor(type, backward.integers, backward.shape),
      backward_scales: new ort.Tensor('float32', backward.scales, [1, columns]),
      forward: new ort.Tensor(type, forward.integers, forward.shape),
      forward_scales: new ort.Tensor('float32', forward.scales, [rows, 1]),
    });
    return { backward, forward };
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** Smoothing factors that change nothing, for a weight whose activations were not observed. */
export function neutralFactors({ shape }: Tensor): Float32Array {
  return new Float32Array(shape.at(-1) ?? 0).fill(1);
}

function roundingGraph(form: WeightIntegers): Graph {
  const { type } = form;
  const inputs: ValueInfo[] = [
    { name: 'weight', shape: [OUT, IN], type: 'float32' },
    { name: 'factors', shape: [IN], type: 'float32' },
  ];
  const values = new Map(inputs.map((input) => [input.name, input]));
  const edit = new GraphEdit({ inputs, outputs: [], constants: [], nodes: [], values }, 'round_');
  const backward = edit.output({ name: 'backward', shape: [OUT, IN], type });
  roundAlong(edit, form, { matrix: 'weight', axis: 0, output: backward });
  const smoothed = edit.add({
    op: 'Mul',
    inputs: ['weight', 'factors'],
    output: { shape: [OUT, IN], type: 'float32' },
  });
  const upright = edit.declare({ name: 'upright', shape: [OUT, IN], type });
  roundAlong(edit, form, { matrix: smoothed, axis: 1, output: upright, scales: 'forward_scales' });
  const forward = edit.output({ name: 'forward', shape: [IN, OUT], type });
  edit.add({ op: 'Transpose', inputs: [upright], attributes: { perm: [1, 0] }, output: forward });
  return edit.finish();
}

interface Rounded {
  readonly matrix: string;
  /** Axis along which the numbers that share a scale lie. */
  readonly axis: 0 | 1;
  readonly output: string;
  /** Name of the graph's output with the scales. Default: the name of the integers' output with `_scales`. */
  readonly scales?: string;
}

function roundAlong(
  edit: GraphEdit,
  { type, zeroPoint, ArrayType }: WeightIntegers,
  { matrix, axis, output, scales = `${output}_scales` }: Rounded,
): void {
  const narrow = { shape: axis === 0 ? [1, IN] : [OUT, 1], type: 'float32' } as const;
  const axes = edit.integers([axis]);
  const reduced = (op: 'ReduceMax' | 'ReduceMin') =>
    edit.add({ op, inputs: [matrix, axes], attributes: { keepdims: 1 }, output: narrow });
  const opposite = edit.add({ op: 'Neg', inputs: [reduced('ReduceMin')], output: narrow });
  const largest = edit.add({ op: 'Max', inputs: [reduced('ReduceMax'), opposite], output: narrow });
  const scale = edit.output({ ...narrow, name: scales });
  edit.add({ op: 'Div', inputs: [largest, edit.scalar(LEVELS)], output: scale });
  const divisor = edit.add({ op: 'Max', inputs: [largest, edit.scalar(SMALLEST)], output: narrow });
  const unit = edit.add({ op: 'Div', inputs: [matrix, divisor], output: { shape: [OUT, IN], type: 'float32' } });
  const zero = edit.constant({ name: `${output}_zero`, shape: [], type, data: new ArrayType(1).fill(zeroPoint) });
  edit.add({ op: 'QuantizeLinear', inputs: [unit, edit.scalar(1 / LEVELS), zero], output });
}
