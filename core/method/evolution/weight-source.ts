import type { Tensor } from '../../models/base-model.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';

/** Base model version whose weights are read tensor by tensor. */
export interface WeightSource {
  readonly config: ModelConfig;
  /**
   * Fingerprint of all weights. It may be read only after every tensor was read, because a source can compute it while
   * reading.
   */
  readonly fingerprint: string;
  /**
   * @param name the tensor's Hugging Face name
   * @returns a tensor that stays unchanged until the next one is read
   */
  readWeight(name: string): Promise<Tensor>;
}
