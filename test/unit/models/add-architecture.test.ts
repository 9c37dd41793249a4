import { afterEach, describe, expect, it } from 'vitest';
import { createRuntime } from '../../../core/engine/create-runtime.ts';
import { COMPARED_DEVICES } from '../engine/support/opened-runtimes.ts';
import type { Runtime } from '../../../core/engine/runtime.ts';
import { adaptableModules } from '../../../core/models/architecture/architecture.ts';
import type { Architecture, Architectures } from '../../../core/models/architecture/architecture-declaration.ts';
import { ARCHITECTURES } from '../../../core/models/architecture/architecture-table.ts';
import { loadGoldenCase } from '../engine/support/golden.ts';
import { expectGradients, expectLogitsAndLosses, expectTraining } from '../engine/support/golden-results.ts';

/**
 * Declaration of OLMo 2, which Readapt does not ship, by its differences from Llama (transformers'
 * `configuration_olmo2.py` and `modeling_olmo2.py`). The decoder, the loader, adapters and the compiler need nothing
 * else.
 */
const OLMO2: Architecture = {
  ...ARCHITECTURES.llama,
  // Each block's output is normalized, but not its input.
  norms: {
    attention: { input: null, output: 'post_attention_layernorm' },
    mlp: { input: null, output: 'post_feedforward_layernorm' },
  },
  // The norm is over the features of all heads at once.
  queryKeyNorm: 'projection',
  biases: ARCHITECTURES.qwen3.biases,
  defaults: { rms_norm_eps: 1e-5, eos_token_id: 50_279 },
};

const architectures: Architectures = { ...ARCHITECTURES, olmo2: OLMO2 };

describe('an architecture is added by its declaration', () => {
  const load = () => loadGoldenCase('olmo2', 'base', { architectures });
  let runtime: Runtime | undefined;
  afterEach(() => runtime?.dispose());

  it.each(COMPARED_DEVICES)('%s computes and trains it as transformers, PEFT and PyTorch do', async (device) => {
    const fixture = await load();
    runtime = createRuntime({ device, base: fixture.base });
    await expectLogitsAndLosses(runtime, fixture, 'base');
    await expectLogitsAndLosses(runtime, fixture, 'adapter');
    await expectGradients(runtime, fixture);
    await expectTraining(runtime, fixture);
  });

  it('is loaded strictly, and adapters find its modules', async () => {
    const { base, adapter } = await load();
    const names = [...base.weights.keys()].filter(
      (name) => name.startsWith('model.layers.1.') && name.includes('norm'),
    );
    expect(names).toEqual([
      'model.layers.1.post_attention_layernorm.weight',
      'model.layers.1.post_feedforward_layernorm.weight',
      'model.layers.1.self_attn.q_norm.weight',
      'model.layers.1.self_attn.k_norm.weight',
    ]);
    expect([...adapter.modules.keys()]).toEqual(adaptableModules(base.config).map(({ name }) => name));
    const headwise = { ...architectures, olmo2: { ...OLMO2, queryKeyNorm: 'head' as const } };
    const wrong = loadGoldenCase('olmo2', 'base', { architectures: headwise });
    await expect(wrong).rejects.toThrow('q_norm.weight has shape [32], expected [8]');
  });

  it('is refused without one, with the list of what is supported', async () => {
    const shipped = 'llama, mistral, qwen2, qwen3, gemma2, gemma3_text, phi3';
    await expect(loadGoldenCase('olmo2')).rejects.toThrow(`model_type is "olmo2", supported: ${shipped}`);
  });
});
