import type { LoadedBase } from '../../../core/engine/base-cache.ts';
import { generateTexts } from '../../../core/engine/generation/generate-texts.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';

export interface CompletionRequest {
  readonly base: LoadedBase;
  /** Null for the base model alone. */
  readonly adapter: Adapter | null;
  readonly prompt: string;
  /** Largest number of tokens that are generated. */
  readonly length: number;
}

/** Continues a prompt greedily, and returns the natural logarithm of each token's probability. */
export async function complete({ base, adapter, prompt, length }: CompletionRequest) {
  const promptIds = base.tokenizer.encode(prompt);
  const request = { promptIds, maxNewTokens: length };
  const [generated] = await generateTexts(base, adapter, [request]);
  const { text, tokenIds, stop } = generated!;
  const losses = await base.runtime.labelLosses(adapter, {
    inputIds: Int32Array.from([...promptIds, ...tokenIds.slice(0, -1)]),
    sequenceLengths: Int32Array.of(promptIds.length + tokenIds.length - 1),
    labelPositions: Int32Array.from(tokenIds, (_, index) => promptIds.length - 1 + index),
    labelIds: Int32Array.from(tokenIds),
  });
  return {
    text,
    logprobs: {
      tokens: tokenIds.map((id) => base.tokenizer.decode([id])),
      token_logprobs: Array.from(losses, (loss) => -loss),
    },
    finish_reason: stop === 'max_new_tokens' ? 'length' : 'stop',
  };
}
