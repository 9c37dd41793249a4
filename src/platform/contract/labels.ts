import Type, { type Static } from 'typebox';

/** Pattern of the key of a label: at most 63 characters, the first and last of which are letters or digits. */
const KEY = '[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?';
const VALUE = '[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?';

const RULE =
  'Keys and values have at most 63 letters, digits, ".", "_" and "-", and keys "/" too; the first and the last is a ' +
  'letter or a digit.';

/** Schema of the labels of an object, or of the labels that a selection asks for. */
export function labelsOf({ description, ...limits }: { description: string; minProperties?: number }) {
  return Type.Record(Type.String(), Type.String({ pattern: `^${VALUE}$` }), {
    ...limits,
    maxProperties: 32,
    // `additionalProperties: false` is not used, because the validation cannot fill in defaults of such a record.
    propertyNames: { pattern: `^${KEY}$` },
    description: `${description} ${RULE}`,
  });
}
export type Labels = Static<ReturnType<typeof labelsOf>>;

/**
 * Creates the schema of the query parameter that selects objects by labels.
 * @param which words for the listed objects that have one label, for the description
 */
export function labelQueryOf(which: string) {
  return Type.Array(Type.String({ pattern: `^${KEY}:${VALUE}$` }), {
    minItems: 1,
    maxItems: 5,
    description: `Only ${which}. Repeat it, and only those with all of the labels are listed.`,
  });
}

/** Splits the labels of a query into keys and values. */
export function parseLabels(given: readonly string[]): { key: string; value: string }[] {
  return given.map((label) => {
    const colon = label.indexOf(':');
    return { key: label.slice(0, colon), value: label.slice(colon + 1) };
  });
}
