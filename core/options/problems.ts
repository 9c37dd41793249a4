import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { quote } from './quote.ts';

interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** Complaint about one place in a checked value. The place is given as a JSON pointer. */
interface Complaint {
  readonly pointer: string;
  /** Text of the complaint: either `expected …`, or a whole predicate such as `is missing`. */
  readonly text: string;
  readonly isUnion: boolean;
}

/**
 * Checks a value against a schema, and returns one line for each place with an error: the place, the value found there
 * and what was expected. The result is empty for a valid value.
 * @param root name of the value, put in front of the places within it
 */
export function problemsOf(schema: TSchema, value: unknown, root = ''): string[] {
  const errors = [...Value.Errors(schema, value)] as SchemaError[];
  const byPointer = new Map<string, Complaint[]>();
  for (const complaint of errors.flatMap((error) => complaintsOf(error, schema))) {
    byPointer.set(complaint.pointer, [...(byPointer.get(complaint.pointer) ?? []), complaint]);
  }
  // A value that fits none of several forms is reported as a whole, not once for each form.
  const unions = [...byPointer].filter(([, list]) => list.some(({ isUnion }) => isUnion)).map(([pointer]) => pointer);
  return [...byPointer]
    .filter(([pointer]) => !unions.some((union) => pointer.startsWith(`${union}/`)))
    .map(([pointer, list]) => `${nameOf(pointer, root)} ${describe(list, valueAt(value, pointer))}`);
}

/**
 * Converts an error of the schema library to complaints. A complaint about a missing or unknown key is about the place
 * of this key.
 */
function complaintsOf({ keyword, instancePath, params, message }: SchemaError, schema: TSchema): Complaint[] {
  const complain = (pointer: string, text: string) => ({ pointer, text, isUnion: keyword === 'anyOf' });
  switch (keyword) {
    case 'required':
      return (params.requiredProperties as string[]).map((key) => complain(`${instancePath}/${key}`, 'is missing'));
    case 'additionalProperties': {
      const legal = Object.keys(
        (schemaAt(schema, instancePath) as { properties?: object } | undefined)?.properties ?? {},
      );
      return (params.additionalProperties as string[]).map((key) =>
        complain(`${instancePath}/${key}`, `is not known, expected one of ${legal.join(', ')}`),
      );
    }
    case 'boolean':
      return [];
    case 'anyOf':
      return [complain(instancePath, 'expected another form')];
    case 'enum':
      return [complain(instancePath, `expected ${(params.allowedValues as unknown[]).join(', ')}`)];
    default:
      return [complain(instancePath, `expected ${inWords(message.replace(/^must (be |have |match )?/, ''))}`)];
  }
}

/** Puts an expectation into words: `>= 0` becomes `at least 0`, and `integer` becomes `an integer`. */
function inWords(expected: string): string {
  const [, operator = '', bound = ''] = /^([<>]=?) (.+)$/.exec(expected) ?? [];
  const words = { '>=': 'at least', '>': 'more than', '<=': 'at most', '<': 'less than' }[operator];
  if (words) return `${words} ${bound}`;
  return /^(integer|object|array)$/.test(expected) ? `an ${expected}` : expected.replace(/^(number|string)$/, 'a $1');
}

function describe(complaints: readonly Complaint[], found: unknown): string {
  const predicate = complaints.find(({ text }) => text.startsWith('is '));
  if (predicate) return predicate.text;
  const specific = complaints.filter(({ isUnion }) => !isUnion);
  const texts = (specific.length > 0 ? specific : complaints).map(({ text }) => text.replace(/^expected /, ''));
  const shown = found === undefined ? 'missing' : quote(found);
  return `is ${shown}, expected ${[...new Set(texts)].join(' or ')}`;
}

function valueAt(root: unknown, pointer: string): unknown {
  return stepsOf(pointer).reduce((at: unknown, step) => (at as Record<string, unknown> | undefined)?.[step], root);
}

function schemaAt(root: TSchema, pointer: string): unknown {
  return stepsOf(pointer).reduce((at: unknown, step) => {
    const { properties, items } = (at ?? {}) as { properties?: Record<string, unknown>; items?: unknown };
    return properties?.[step] ?? items;
  }, root);
}

function stepsOf(pointer: string): string[] {
  return pointer.split('/').slice(1);
}

/** Returns the readable name of a place given as a JSON pointer: `/tasks/0/metric` becomes `tasks[0].metric`. */
function nameOf(pointer: string, root: string): string {
  const name = pointer
    .slice(1)
    .replace(/\/(\d+)(?=\/|$)/g, '[$1]')
    .replaceAll('/', '.');
  return [root, name].filter((part) => part !== '').join('.') || 'the file';
}
