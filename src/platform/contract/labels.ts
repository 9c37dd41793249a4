import Type, { type Static } from 'typebox';

/** At most 63 characters, of which the first and the last are letters or digits. */
const KEY = '[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?';
const VALUE = '[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?';

const RULE =
  'Keys and values have at most 63 letters, digits, ".", "_" and "-", and keys "/" too; the first and the last is a ' +
  'letter or a digit.';

/** Labels of a thing, or those that a thing must have to be chosen. */
export function labelsOf({ description, ...limits }: { description: string; minProperties?: number }) {
  return Type.Record(Type.String(), Type.String({ pattern: `^${VALUE}$` }), {
    ...limits,
    maxProperties: 32,
    // The validation cannot fill in the defaults of a record that refuses other properties.
    propertyNames: { pattern: `^${KEY}$` },
    description: `${description} ${RULE}`,
  });
}
export type Labels = Static<ReturnType<typeof labelsOf>>;

/** The query parameter that chooses by labels. @param which the things that are listed, with one label */
export function labelQueryOf(which: string) {
  return Type.Array(Type.String({ pattern: `^${KEY}:${VALUE}$` }), {
    minItems: 1,
    maxItems: 5,
    description: `Only ${which}. Repeat it, and only those with all of the labels are listed.`,
  });
}

/** The keys and values of labels as the query gives them. */
export function parseLabels(given: readonly string[]): { key: string; value: string }[] {
  return given.map((label) => {
    const colon = label.indexOf(':');
    return { key: label.slice(0, colon), value: label.slice(colon + 1) };
  });
}
