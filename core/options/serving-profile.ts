import Type, { type Static } from 'typebox';

const allowed = (description: string) => Type.Optional(Type.Boolean({ default: true, description }));

/**
 * Schema of the profile that says which features of adapters the engines serving a base model accept. A feature that it
 * leaves out is accepted.
 */
export const ServingProfile = Type.Object(
  {
    max_rank: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1024,
        description: 'The largest rank of a module: `--max-lora-rank` of vLLM. No fused adapter grows beyond it.',
      }),
    ),
    dora: allowed('Whether they serve DoRA adapters. vLLM does not.'),
    rslora: allowed('Whether they know the scaling of rsLoRA.'),
    rank_patterns: allowed(
      'Whether modules may have a rank or an alpha of their own (`rank_pattern`, `alpha_pattern`).',
    ),
    modules: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 200 }), {
        minItems: 1,
        maxItems: 100,
        uniqueItems: true,
        description:
          'The modules that may be adapted, by the last part of their names, such as `q_proj`: ' +
          '`--lora-target-modules` of vLLM.',
      }),
    ),
  },
  {
    title: 'ServingProfile',
    additionalProperties: false,
    description: 'What the engines that serve a base model accept of an adapter. What is left out is accepted.',
  },
);
export type ServingProfile = Static<typeof ServingProfile>;
