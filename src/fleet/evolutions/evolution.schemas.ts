import Type, { type Static } from 'typebox';
import { Id, Name, Nullable, Timestamp } from '../../platform/contract/schemas.ts';

const AdviceReason = Type.Object(
  {
    code: Type.String({ description: 'The reason, for programs.' }),
    message: Type.String({ description: 'The reason, for people.' }),
  },
  { title: 'AdviceReason', description: 'A reason for an advice.' },
);

export const EvolutionAdvice = Type.Object(
  {
    verdict: Type.Enum(['reuse', 'revert', 'search', 'retrain', 'incompatible'] as const, {
      title: 'AdviceVerdict',
      description: 'What is likely to work for adapters of that version. Jobs follow their own strategy and gate.',
    }),
    reasons: Type.Array(AdviceReason, { description: 'Reasons for the advice.' }),
  },
  { title: 'EvolutionAdvice', description: 'What the change of the base suggests for its adapters.' },
);
export type EvolutionAdvice = Static<typeof EvolutionAdvice>;

const summary = {
  old_base_model_version_id: Id('baseModelVersion', 'The version that adapters come from.'),
  state: Type.Enum(['pending', 'ready', 'failed'] as const, {
    title: 'EvolutionState',
    description:
      'How far the analysis of the change is. `failed`: no adapter can be carried over, because the versions are ' +
      'incompatible.',
  }),
  drift: Nullable(Type.Number({ description: '‖W_new − W_old‖ / ‖W_old‖ over all modules that adapters can change.' })),
  advice: Nullable(EvolutionAdvice),
};

/** Schema of an evolution in the answer about a rollout. */
export const RolloutEvolution = Type.Object(summary, {
  title: 'RolloutEvolution',
  description: 'What has changed from one base model version to the one of the rollout.',
});
export type RolloutEvolution = Static<typeof RolloutEvolution>;

const head = {
  id: Id('evolution'),
  ...summary,
  new_base_model_version_id: Id('baseModelVersion', 'The version that adapters are carried over to.'),
  base_model_name: Name,
  old_version: Name,
  new_version: Name,
  rank: Nullable(Type.Integer({ description: 'The rank of the factors that are kept of each module.' })),
  compute_ms: Nullable(Type.Number({ minimum: 0, description: 'Milliseconds that the analysis took.' })),
  created_at: Timestamp,
};

export const EvolutionEntry = Type.Object(head, {
  title: 'EvolutionEntry',
  description: 'What changed between two base model versions, in short.',
});
export type EvolutionEntry = Static<typeof EvolutionEntry>;

const Drift = Type.Number({ description: '‖W_new − W_old‖ / ‖W_old‖' });
const Energy = (of: string) => Type.Number({ description: `Share of ‖W_new − W_old‖² of ${of}.` });

const Part = Type.Object(
  { name: Type.String(), drift: Drift },
  { title: 'EvolutionPart', description: 'How far a part of the base has moved.' },
);

const Module = Type.Object(
  {
    name: Type.String(),
    layer: Nullable(Type.Integer({ description: 'Number of the layer, from 0; null where the name has none.' })),
    projection: Type.String({ description: 'The rest of the name, for example `self_attn.q_proj`.' }),
    drift: Drift,
    rank: Type.Integer({ description: 'The rank of the factors that are kept.' }),
    captured_energy: Energy('the module that these factors hold'),
  },
  { title: 'EvolutionModule', description: 'How far a module that adapters can change has moved.' },
);

const FieldDifference = Type.Object(
  {
    field: Type.String({ description: 'A field of config.json or a part of the tokenizer.' }),
    old: Type.String({ description: 'The old value as JSON.' }),
    new: Type.String({ description: 'The new value as JSON.' }),
  },
  { title: 'EvolutionDifference', description: 'A setting that differs between two base model versions.' },
);

const TokenizerChanges = Type.Object(
  {
    vocabulary_added: Type.Integer({ description: 'Number of tokens.' }),
    vocabulary_removed: Type.Integer(),
    vocabulary_moved: Type.Integer({ description: 'Number of tokens that have another id.' }),
    added_tokens: Type.Integer({ description: 'Number of special tokens that were added or changed.' }),
    merges_added: Type.Integer(),
    merges_removed: Type.Integer(),
    merges_reordered: Type.Boolean(),
    encoding: Type.Array(Type.String(), { description: 'Parts of the encoding that differ.' }),
    decoding: Type.Array(Type.String(), { description: 'Parts of the decoding that differ.' }),
    roles: Type.Array(Type.String(), { description: 'Roles, such as `eos_token`, that another token has.' }),
    chat_template: Type.String({ description: '`same`, `added`, `removed` or `changed`.' }),
  },
  { title: 'EvolutionTokenizerChanges', description: 'What changed in the tokenizer.' },
);

export const EvolutionResource = Type.Object(
  {
    ...head,
    overall_drift: Nullable(Type.Number({ description: 'Drift of all weights together, computed as `drift` is.' })),
    captured_energy_by_rank: Type.Array(
      Type.Object(
        { rank: Type.Integer(), share: Energy('all modules that this rank holds') },
        { title: 'EvolutionEnergy', description: 'How much of the change a rank holds.' },
      ),
      { description: 'How much of the change adapters of a rank can hold at best, by rank.' },
    ),
    modules: Type.Array(Module, { description: 'The modules that adapters can change, in the order of their layers.' }),
    projections: Type.Array(Part, { description: 'Each projection over all layers.' }),
    unadaptable_parts: Type.Array(Part, {
      description: 'What no adapter changes: embeddings, head, norms and biases.',
    }),
    differences: Type.Array(FieldDifference, { description: 'What makes the versions incompatible.' }),
    changed_settings: Type.Array(FieldDifference, {
      description: 'Settings of config.json that changed without breaking adapters.',
    }),
    tokenizer: Nullable(TokenizerChanges),
  },
  {
    title: 'Evolution',
    description:
      'What changed between two base model versions, by layer and module. Lists are empty where the analysis is not ' +
      'done, or is of a version that did not keep them.',
  },
);
export type EvolutionResource = Static<typeof EvolutionResource>;

export const EvolutionParams = Type.Object({ id: Id('evolution') });
export const EvolutionsOfBaseParams = Type.Object({ id: Id('baseModelVersion') });
