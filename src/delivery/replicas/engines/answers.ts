import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { EngineError, type Completion, type Listing } from './engine.ts';

// Compiled, because a list may have 20,000 names, for which `Value.Check` takes seconds.
const Models = Compile(
  Type.Object({
    data: Type.Array(
      Type.Object({
        id: Type.String(),
        root: Type.Optional(Type.Union([Type.String(), Type.Null()])),
        parent: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      }),
    ),
  }),
);

const Completions = Compile(
  Type.Object({
    choices: Type.Array(
      Type.Object({
        text: Type.String(),
        logprobs: Type.Object({ token_logprobs: Type.Array(Type.Union([Type.Number(), Type.Null()])) }),
      }),
      { minItems: 1 },
    ),
  }),
);

/** Reads an answer of `GET /v1/models`, in which adapters name their base as `parent`. @throws EngineError */
export function readListing(answer: unknown): Listing {
  if (!Models.Check(answer)) throw new EngineError('unreadable_answer', '/v1/models lists no models');
  const bases = new Set<string>();
  const adapters = new Map<string, string>();
  for (const { id, root, parent } of answer.data) {
    if (typeof parent === 'string') adapters.set(id, root ?? '');
    else for (const name of [id, root ?? id]) bases.add(name);
  }
  return { bases, adapters };
}

/** Reads an answer of `POST /v1/completions` to a request for log-probabilities. @throws EngineError */
export function readCompletion(answer: unknown): Completion {
  if (!Completions.Check(answer)) {
    throw new EngineError('unreadable_answer', '/v1/completions answered without log-probabilities');
  }
  const [{ text, logprobs }] = answer.choices as [(typeof answer.choices)[number]];
  return { text, logprobs: logprobs.token_logprobs.map((value) => value ?? 0) };
}
