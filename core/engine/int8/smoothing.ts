import type { BaseModel } from '../../models/base-model.ts';
import { bindCall } from '../call/bind-call.ts';
import { BoundWeights } from '../compiled/bound-weights.ts';
import { compileProgram, type CompileOptions } from '../compiled/compiled-program.ts';
import { StreamedProgram } from '../compiled/streamed-program.ts';
import { OBSERVING_PROVIDER } from '../devices/execution-provider.ts';
import type { Batch } from '../runtime.ts';
import { observeOperands } from '../graph/passes/weights/observe-operands.ts';
import { isLayerMatrix, largestName } from './inputs.ts';
import type { Smoothing } from './rounding/int8-matrix.ts';

/**
 * Exponent of the smoothing factors: the share of the differences between an operand's columns that moves into the
 * weights. At 1 all columns are equally large; measured on SmolLM2-135M, losses and gradients are closest to those in
 * float32 between 0.4 and 0.5.
 */
const STRENGTH = 0.4;

/**
 * Smallest magnitude that is assumed for a column of activations. It prevents a division by zero for a column that is
 * zero in the observed batch.
 */
const SMALLEST = 1e-5;

/** Results of a float32 forward pass over a batch of text, from which int8 is prepared and judged. */
export interface Observation {
  /** Loss of each label, [labels] in nats. */
  readonly losses: Float32Array;
  readonly smoothing: Smoothing;
  /** Duration of the pass in milliseconds, without the time to read weights. */
  readonly ms: number;
}

/**
 * Float32 forward pass that also finds factors to even out the columns of activations. A few columns are far larger
 * than all others, in the same places for any text, so that only few of a row's 255 levels would be left for the
 * others. Since x Wᵀ = (x / s) (W s)ᵀ for any s > 0, factors s = max|x|^0.4 of each column move a part of the
 * differences into the weights (Xiao et al. 2023, SmoothQuant, without its division by the weights' own maxima, which
 * did not improve the measurements).
 */
export class Observer {
  readonly #base: BaseModel;
  readonly #program: Program;

  private constructor(base: BaseModel, program: Program) {
    this.#base = base;
    this.#program = program;
  }

  /** @param held whether the base's weights stay in memory between passes */
  static async create(base: BaseModel, batch: Batch, options: ObserverOptions): Promise<Observer> {
    const { held, weightBytes, ...compiling } = options;
    const { spec } = bindCall(base, 'labelLosses', { adapter: null, tokens: batch });
    const { weights } = base;
    if (!held) {
      const streaming = { threads: options.threads, weights, weightBytes, rewrite: observeOperands };
      return new Observer(base, await StreamedProgram.create(spec, streaming));
    }
    const program = await compileProgram(spec, { ...compiling, provider: OBSERVING_PROVIDER, weights });
    const bound = new BoundWeights(weights);
    return new Observer(base, {
      outputNames: program.outputNames,
      run: (call) => program.run(bound, call),
      release: () => program.release(),
    });
  }

  async observe(batch: Batch): Promise<Observation> {
    const program = this.#program;
    const begun = performance.now();
    const output = await program.run(bindCall(this.#base, 'labelLosses', { adapter: null, tokens: batch }));
    const ms = program.computeMs ?? performance.now() - begun;
    // A small matrix may be part of a joined product, which is not computed in 8 bits and therefore not observed.
    const weights = [...this.#base.weights.keys()].filter(
      (name) => isLayerMatrix(name) && program.outputNames.includes(largestName(name)),
    );
    const factors = (name: string) => output(largestName(name)).map((size) => Math.max(size, SMALLEST) ** STRENGTH);
    return { losses: output('losses'), smoothing: new Map(weights.map((name) => [name, factors(name)])), ms };
  }

  async release(): Promise<void> {
    await this.#program.release();
  }
}

export interface ObserverOptions extends Pick<CompileOptions, 'threads' | 'cache' | 'tracer'> {
  readonly held: boolean;
  /** Largest size in bytes of the weights in memory at a time; only used if the weights are not held in memory. */
  readonly weightBytes: number;
}

type Program = Pick<StreamedProgram, 'outputNames' | 'run' | 'release'> & Partial<Pick<StreamedProgram, 'computeMs'>>;
