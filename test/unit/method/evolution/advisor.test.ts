import { describe, expect, it } from 'vitest';
import { narrowToBfloat16 } from '../../../../core/formats/safetensors/dtypes.ts';
import { widenBfloat16 } from '../../../../core/formats/safetensors/widen-bfloat16.ts';
import { Random } from '../../../../core/statistics/random.ts';
import { adviseOn, THRESHOLDS } from '../../../../core/method/evolution/analysis/advisor.ts';
import { driftOf } from '../../../../core/method/evolution/drift.ts';
import type { Evolution } from '../../../../core/method/evolution/evolution.ts';
import type { Matrix } from '../../../../core/linalg/matrix.ts';
import { matmulTransposed } from '../../../../core/linalg/matmul.ts';
import { compareTokenizers } from '../../../../core/method/evolution/analysis/tokenizer-changes.ts';
import type { VersionComparison } from '../../../../core/method/evolution/analysis/version-comparison.ts';
import { evolutionOf } from '../support/adapters.ts';
import { frobeniusNorm, randomMatrix } from '../support/matrices.ts';

const SAME: VersionComparison = { differences: [], settings: [], tokenizer: compareTokenizers(null, null) };
const MODULE = 'model.layers.0.mlp.up_proj';

/** Change of one module whose weights have norm 1, so that the change's norm is its drift. */
function evolution(change: Matrix, drift: number, embeddings = 0): Evolution {
  const scale = drift / frobeniusNorm(change.data);
  const found = evolutionOf(new Map([[MODULE, { ...change, data: change.data.map((value) => scale * value) }]]));
  const unadaptable = new Map([
    ['model.embed_tokens.weight', driftOf(embeddings ** 2, 1)],
    ['model.norm.weight', driftOf(0.01 ** 2, 1)],
  ]);
  return { ...found, unadaptable };
}

const structured = matmulTransposed(randomMatrix(96, 2, 1), randomMatrix(96, 2, 2));
const diffuse = randomMatrix(96, 96, 3);
const advise = (facts: Partial<Parameters<typeof adviseOn>[0]>) =>
  adviseOn({ comparison: SAME, evolution: null, ...facts });

describe('adviseOn', () => {
  it.each([
    ['a change below rounding', 'reuse', 'within_rounding', evolution(structured, 0.0015)],
    ['a change with structure', 'revert', 'undoable', evolution(structured, 0.05)],
    ['one that went far', 'retrain', 'too_far', evolution(structured, 0.25)],
    ['a change without structure', 'reuse', 'diffuse', evolution(diffuse, 0.05)],
    ['a large one', 'retrain', 'diffuse', evolution(diffuse, 0.15)],
    ['embeddings that moved', 'retrain', 'unreachable', evolution(structured, 0.05, 0.15)],
  ])('%s: %s', (_, verdict, code, found) => {
    const advice = advise({ evolution: found });
    expect(advice).toMatchObject({ verdict, reasons: [{ code }, ...advice.reasons.slice(1)] });
    expect(advice.reasons.map((reason) => reason.code)).toContain('moved:norms');
  });

  it('goes by what the adapter at hand can undo, and says what it does not adapt', () => {
    const found = evolution(structured, 0.05);
    expect(advise({ evolution: found, reach: { targeted: 1, undone: 0.6 } })).toMatchObject({ verdict: 'revert' });
    const advice = advise({ evolution: found, reach: { targeted: 0.3, undone: 0.04 } });
    expect(advice.verdict).toBe('search');
    expect(advice.reasons[0]!.message).toContain('the adapter can undo 4.0 % of the change');
    expect(advice.reasons[1]!.message).toContain('70.0 % of the change is in modules that the adapter leaves alone');
  });

  it('takes equal weights as they are', () => {
    const none = { ...evolutionOf(new Map()), unadaptable: new Map() };
    expect(advise({ evolution: none })).toMatchObject({ verdict: 'reuse', reasons: [{ code: 'unchanged' }] });
  });

  it('names every difference of incompatible versions', () => {
    const differences = [
      { field: 'hidden_size', old: 64, new: 128 },
      { field: 'vocab_size', old: 320, new: 400 },
    ];
    const { verdict, reasons } = advise({ comparison: { ...SAME, differences } });
    expect(verdict).toBe('incompatible');
    expect(reasons.map(({ message }) => message)).toEqual(['hidden_size: 64 → 128', 'vocab_size: 320 → 400']);
  });

  it('mentions settings, tokens and the chat template without changing its mind', () => {
    const tokenizer = compareTokenizers(
      { tokenizer: {}, config: { eos_token: 'a' }, chatTemplate: 'old' },
      { tokenizer: { added_tokens: [{ id: 5, content: '<x>' }] }, config: { eos_token: 'b' }, chatTemplate: 'new' },
    );
    const comparison = { ...SAME, tokenizer, settings: [{ field: 'rope_theta', old: 10000, new: 500000 }] };
    const { verdict, reasons } = advise({ comparison, evolution: evolution(structured, 0.05) });
    expect(verdict).toBe('revert');
    expect(reasons.map(({ code }) => code)).toEqual([
      'undoable',
      'moved:norms',
      'setting:rope_theta',
      'tokens',
      'roles',
      'chat_template',
    ]);
  });
});

describe('THRESHOLDS', () => {
  it('roundingDrift is what storing Gaussian weights in bfloat16 does', () => {
    const random = Random.fromSeed(1);
    const weights = Float32Array.from({ length: 100_000 }, () => 0.02 * random.normal());
    const stored = new Float32Array(weights.length);
    widenBfloat16(narrowToBfloat16(weights), stored);
    const drift = frobeniusNorm(stored.map((value, i) => value - weights[i]!)) / frobeniusNorm(weights);
    expect(drift).toBeLessThan(THRESHOLDS.roundingDrift);
    expect(drift).toBeGreaterThan(0.95 * THRESHOLDS.roundingDrift);
  });
});
