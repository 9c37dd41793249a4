import type { BaseModel } from '../../models/base-model.ts';
import type { Adapter, TrainableArrays } from '../../models/lora/adapter.ts';
import { mapTrainable } from '../../models/lora/trainable-arrays.ts';
import { gradientName, type ProgramKind } from '../decoder/program-spec.ts';
import { tokenBudgets, type TokenBudgets } from '../devices/token-budgets.ts';
import type { DeviceKind } from '../../options/devices.ts';
import type { Batch, Dropout, GradientResult, Runtime } from '../runtime.ts';
import { bindCall, type BoundCall, type ProgramCall } from './bind-call.ts';
import { checkCall } from './check-call.ts';

/** Hands out a program's output by its name, as an array of the caller's own. */
export type ProgramOutputs = (name: string) => Float32Array;

/** What the runtimes share: they differ in how they run a program. */
export abstract class ProgramRuntime implements Runtime {
  abstract readonly name: string;
  readonly base: BaseModel;
  readonly tokenBudgets: TokenBudgets;
  activationBytes: number;
  /** Whether programs are so large that one is to serve all batches, even where another would compute a little less. */
  protected abstract readonly fewPrograms: boolean;

  constructor(base: BaseModel, device: DeviceKind, activationBytes = Infinity) {
    this.base = base;
    this.tokenBudgets = tokenBudgets(device, base.config);
    this.activationBytes = activationBytes;
  }

  async labelLosses(adapter: Adapter | null, batch: Batch): Promise<Float32Array> {
    return (await this.#call('labelLosses', { adapter, batch }))('losses');
  }

  async gradients(adapter: Adapter, batch: Batch, gradientScale: number, dropout?: Dropout): Promise<GradientResult> {
    const output = await this.#call('gradients', { adapter, batch, gradientScale, dropout });
    const gradients = [...adapter.modules].map(([module, factors]): [string, TrainableArrays] => {
      return [module, mapTrainable(factors, (_, name) => output(gradientName(module, name)))];
    });
    return { lossSum: output('loss_sum')[0]!, gradients: new Map(gradients) };
  }

  async logits(adapter: Adapter | null, batch: Batch): Promise<Float32Array> {
    return (await this.#call('logits', { adapter, batch }))('logits');
  }

  abstract dispose(): Promise<void>;

  protected abstract run(call: BoundCall): Promise<ProgramOutputs>;

  async #call(kind: ProgramKind, call: ProgramCall): Promise<ProgramOutputs> {
    checkCall(this.base, call.adapter, call.batch);
    return this.run(bindCall(this.base, kind, { ...call, fewPrograms: this.fewPrograms }, this.activationBytes));
  }
}
