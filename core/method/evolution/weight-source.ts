import type { Tensor } from '../../models/base-model.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';

/** One base model version whose weights are read tensor by tensor. */
export interface WeightSource {
  readonly config: ModelConfig;
  /** Only read after every tensor was read, so that a source can compute it while reading. */
  readonly fingerprint: string;
  /**
   * @param name the tensor's Hugging Face name
   * @returns a tensor that stays as it is until the next one is read
   */
  readWeight(name: string): Promise<Tensor>;
}
