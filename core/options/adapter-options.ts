import Type, { type Static } from 'typebox';

/**
 * Table of the options that belong to an adapter rather than to a rollout, since they depend on how the adapter was
 * trained: name, type, range, default and help text of each. The API's schema and the flags of the commands are derived
 * from this table.
 */
export const AdapterOptions = Type.Object(
  {
    append_eos: Type.Enum(['auto', 'yes', 'no'] as const, {
      title: 'AppendEos',
      default: 'auto',
      description:
        'Whether the end of the text is learned and measured behind each completion, so that the adapter stops ' +
        'there. `auto` takes what the adapter says in `readapt.json`; if it says nothing, it measures whether the ' +
        'old adapter ends its completions on the old base.',
    }),
    max_length: Type.Integer({
      minimum: 2,
      maximum: 1_048_576,
      description:
        'Largest number of tokens of a row. A longer row loses the beginning of its prompt, never of its ' +
        "completion. When left out, it is what the adapter says in `readapt.json`, or else the model's own " +
        'maximum, but at most 2048.',
    }),
  },
  { additionalProperties: false },
);
export type AdapterOptions = Static<typeof AdapterOptions>;

/** Options of an adapter as given in a request or on a command line, where any may be missing. */
export type GivenAdapterOptions = Readonly<Partial<AdapterOptions>>;
