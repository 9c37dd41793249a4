import type { BaseModel } from '../../models/base-model.ts';
import type { Adapter, TrainableArrays } from '../../models/lora/adapter.ts';
import { mapTrainable } from '../../models/lora/trainable-arrays.ts';
import {
  doraFactorsName,
  gradientName,
  newStateName,
  type CachedPart,
  type ProgramKind,
} from '../decoder/program-spec.ts';
import { tokenBudgets, type TokenBudgets } from '../devices/token-budgets.ts';
import type { DeviceKind } from '../../options/devices.ts';
import type { Batch, DecodeStep, Dropout, ForwardStates, GradientResult, Runtime } from '../runtime.ts';
import { bindCall, type BoundCall, type ProgramCall } from './bind-call.ts';
import { checkCall, checkStep } from './check-call.ts';

/** Returns a program's output by its name, as a copy that the caller owns. */
export type ProgramOutputs = (name: string) => Float32Array;

/**
 * Difference up to which two logits count as equal when they are computed in 32 bits. Measured differences are below
 * 2e-5 on a CPU; a GPU may multiply in 19 bits (TF32).
 */
const FLOAT_ROUNDING = 0.05;

/** Common part of the runtimes, which differ only in how they run a program. */
export abstract class ProgramRuntime implements Runtime {
  abstract readonly name: string;
  readonly base: BaseModel;
  readonly tokenBudgets: TokenBudgets;
  logitRounding = FLOAT_ROUNDING;
  activationBytes: number;
  /**
   * Whether one general program with gradients serves all batches, even those for which another program would compute
   * slightly less. This pays if programs are large, or if the general program is needed later anyway. Default: false.
   */
  fewPrograms = false;

  constructor(base: BaseModel, device: DeviceKind, activationBytes = Infinity) {
    this.base = base;
    this.tokenBudgets = tokenBudgets(device, base.config);
    this.activationBytes = activationBytes;
  }

  async labelLosses(adapter: Adapter | null, batch: Batch): Promise<Float32Array> {
    const { output } = await this.#call('labelLosses', { adapter, tokens: batch });
    return output('losses').slice(0, batch.labelPositions.length);
  }

  async gradients(adapter: Adapter, batch: Batch, gradientScale: number, dropout?: Dropout): Promise<GradientResult> {
    const { output } = await this.#call('gradients', { adapter, tokens: batch, gradientScale, dropout });
    const gradients = [...adapter.modules].map(([module, factors]): [string, TrainableArrays] => {
      return [module, mapTrainable(factors, (_, name) => output(gradientName(module, name)))];
    });
    return { lossSum: output('loss_sum')[0]!, gradients: new Map(gradients) };
  }

  async logits(adapter: Adapter | null, batch: Batch): Promise<Float32Array> {
    return (await this.#call('logits', { adapter, tokens: batch })).output('logits');
  }

  prefill(adapter: Adapter | null, batch: Batch): Promise<ForwardStates> {
    return this.#states('prefill', { adapter, tokens: batch });
  }

  decode(adapter: Adapter | null, step: DecodeStep): Promise<ForwardStates> {
    return this.#states('decode', { adapter, tokens: step });
  }

  abstract dispose(): Promise<void>;

  protected abstract run(call: BoundCall): Promise<ProgramOutputs>;

  async #states(kind: 'prefill' | 'decode', call: ProgramCall): Promise<ForwardStates> {
    const { output, indices } = await this.#call(kind, call);
    const layers = [...Array(this.base.config.numLayers).keys()];
    const byLayer = (part: CachedPart) => layers.map((layer) => output(newStateName(part, layer)));
    const states = { keys: byLayer('keys'), values: byLayer('values') };
    const dora = kind === 'prefill' ? [...(call.adapter?.modules ?? [])].filter(([, { magnitude }]) => magnitude) : [];
    const doraFactors = new Map(dora.map(([module]) => [module, output(doraFactorsName(module))]));
    return { logits: output('logits'), states, stateOfToken: indices, doraFactors };
  }

  async #call(kind: ProgramKind, call: ProgramCall): Promise<{ output: ProgramOutputs; indices: Int32Array }> {
    if ('cache' in call.tokens) checkStep(this.base, call.adapter, call.tokens);
    else checkCall(this.base, call.adapter, call.tokens);
    const { activationBytes, tokenBudgets } = this;
    const limits = { activationBytes, maxLogits: tokenBudgets.logits };
    const bound = bindCall(this.base, kind, { ...call, fewPrograms: this.fewPrograms }, limits);
    return { output: await this.run(bound), indices: bound.indices };
  }
}
