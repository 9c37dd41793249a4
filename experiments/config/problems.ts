import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';

interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** Checks a value. @returns one line for each place with a problem: the place, the value found and what was expected */
export function problemsOf(schema: TSchema, value: unknown): string[] {
  const errors = [...Value.Errors(schema, value)] as SchemaError[];
  const byPlace = groupByPlace(errors.flatMap(placed));
  // A value that matches no member of a union is reported once as a whole, and not once for each member.
  const unions = [...byPlace]
    .filter(([, list]) => list.some(({ keyword }) => keyword === 'anyOf'))
    .map(([place]) => place);
  const within = (place: string): boolean => unions.some((union) => place !== union && place.startsWith(`${union}/`));
  return [...byPlace].filter(([place]) => !within(place)).map(([place, list]) => describe(place, list, value));
}

interface Placed {
  readonly place: string;
  readonly keyword: string;
  readonly expected: string;
}

function groupByPlace(errors: readonly Placed[]): Map<string, Placed[]> {
  const groups = new Map<string, Placed[]>();
  for (const error of errors) groups.set(error.place, [...(groups.get(error.place) ?? []), error]);
  return groups;
}

/** Assigns missing and unknown keys to their own places, which the errors of the schema do not. */
function placed({ keyword, instancePath, params, message }: SchemaError): Placed[] {
  const keys = (params.requiredProperties ?? params.additionalProperties ?? null) as string[] | null;
  if (keys) {
    const expected = keyword === 'required' ? 'a value' : 'no such setting';
    return keys.map((key) => ({ place: `${instancePath}/${key}`, keyword, expected }));
  }
  if (keyword === 'boolean') return [];
  if (keyword === 'enum')
    return [{ place: instancePath, keyword, expected: (params.allowedValues as unknown[]).join(', ') }];
  return [{ place: instancePath, keyword, expected: message.replace(/^must (be |have |match )?/, '') }];
}

function describe(place: string, list: readonly Placed[], root: unknown): string {
  const found = valueAt(root, place);
  const text = found === undefined ? 'missing' : JSON.stringify(found);
  const expected = [...new Set(list.filter(({ keyword }) => keyword !== 'anyOf').map((one) => one.expected))].join(
    ' or ',
  );
  return `${nameOf(place)} is ${text.length > 120 ? `${text.slice(0, 117)}…` : text}, expected ${expected || 'another form'}`;
}

function valueAt(root: unknown, place: string): unknown {
  const steps = place.split('/').slice(1);
  return steps.reduce((at: unknown, step) => (at as Record<string, unknown> | undefined)?.[step], root);
}

/** `/tasks/0/metric` → `tasks[0].metric`. */
function nameOf(place: string): string {
  const name = place
    .slice(1)
    .replace(/\/(\d+)(?=\/|$)/g, '[$1]')
    .replaceAll('/', '.');
  return name === '' ? 'the file' : name;
}
