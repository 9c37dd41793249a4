import { describe, expect, it } from 'vitest';
import { createRuntime } from '../../core/engine/create-runtime.ts';
import { generateGreedily } from '../../core/engine/generation/greedy.ts';
import { loadBaseModel } from '../../core/formats/hugging-face/hugging-face-model.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { dependsOnTextLength } from '../../core/models/config/rope.ts';
import { FAMILIES } from './support/bases.ts';
import { DORAS, fused, LORAS, randomExamples, SELECTIONS } from './support/cases.ts';
import { useWorkspace } from './support/workspace.ts';

const workspace = useWorkspace();
const MAX_NEW_TOKENS = 24;
const END_IDS = [2, 7];

const PARAMETERIZATIONS = [...LORAS, ...DORAS, ...SELECTIONS];
const cases = FAMILIES.flatMap((bases) => bases).map((base, index) => {
  const lora = PARAMETERIZATIONS[index % PARAMETERIZATIONS.length]!;
  return { base, lora: base.config['model_type'] === 'phi3' ? fused(lora) : lora, seed: 50 + index };
});

describe.each(cases)('$base.name, $lora.name', ({ base: spec, lora: { lora }, seed }) => {
  it("gives the tokens of transformers' greedy generate", async () => {
    const [base, adapter] = [workspace.path(`base ${seed}`), workspace.path(`adapter ${seed}`)];
    const { reference } = workspace;
    await reference.call('models.create_base', { ...spec, folder: base, seed });
    await reference.call('models.create_adapter', { base, folder: adapter, lora, seed, dtype: 'float32' });
    const runtime = createRuntime({ base: await loadBaseModel(base), threads: 1 });
    const { config } = runtime.base;
    const prompts = randomExamples(6, config.vocabSize, seed).map(({ promptIds }) => promptIds);
    const requests = prompts.map((promptIds) => ({ promptIds, maxNewTokens: MAX_NEW_TOKENS }));
    const options = { endIds: new Set(END_IDS), maxRows: 4 };
    for (const folder of [null, adapter]) {
      const expected = await reference.call('generation.greedy', {
        base,
        adapter: folder,
        prompts,
        max_new_tokens: MAX_NEW_TOKENS,
        end_ids: END_IDS,
        use_cache: !dependsOnTextLength(config),
      });
      const loaded = folder === null ? null : await loadAdapter(folder, config);
      const found = await generateGreedily(runtime, loaded, requests, options);
      expect(found.map(({ tokenIds }) => tokenIds)).toEqual(expected);
      const ended = expected.map((ids) => (END_IDS.includes(ids.at(-1)!) ? 'end_of_text' : 'max_new_tokens'));
      expect(found.map(({ stop }) => stop)).toEqual(ended);
    }
    await runtime.dispose();
  });
});
