import { Stream } from 'node:stream';
import type { FastifyInstance, FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify';
import { registerAjvFormats } from '@fastify/type-provider-typebox';
import type { TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { Value } from 'typebox/value';
import { isStorable } from '../../../platform/database/database.ts';

/**
 * Validates requests with TypeBox. Values in the path and the query are converted strictly to the types of the schema;
 * bodies are not converted. Missing values get their defaults. Unknown fields are refused if the schema says
 * `additionalProperties: false`, and are never dropped silently.
 */
export function useTypeBoxValidation(app: FastifyInstance): void {
  registerAjvFormats();
  app.setValidatorCompiler(compile);
}

/** Compiles the schema of a part of a route's requests when the first such request arrives. */
const compile: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  let compiled: Validator | undefined;
  return (input: unknown) => {
    const check = (compiled ??= Compile(schema));
    // This check comes first, because the others take time and stack in proportion to the input.
    const unstorable = findUnstorable(input);
    if (unstorable !== null) return { error: [toValidationError(unstorable)] };
    // Fastify passes null for a missing body. The schema's default then applies, if there is one.
    const converted = httpPart === 'body' ? (input ?? undefined) : fromText(schema, input);
    const value = Value.Default(schema, converted);
    if (check.Check(value)) return { value };
    return { error: check.Errors(value) as FastifySchemaValidationError[] };
  };
};

function toValidationError({ path, message }: Unstorable): FastifySchemaValidationError {
  const instancePath = path.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  return { keyword: 'storable', instancePath, schemaPath: '#', params: {}, message };
}

interface Unstorable {
  /** Member names and array indices that lead from the input to the value. */
  path: string[];
  message: string;
}

/**
 * Finds the first text in a parsed request that PostgreSQL cannot store. Deep or large bodies need no care here,
 * because json-body.ts has refused them before. Streams are not searched.
 */
function findUnstorable(input: unknown, path: string[] = []): Unstorable | null {
  if (typeof input === 'string') {
    return isStorable(input) ? null : { path, message: 'holds a NUL character or half of a surrogate pair' };
  }
  if (typeof input !== 'object' || input === null || input instanceof Stream) return null;
  for (const [name, member] of Object.entries(input)) {
    const found = findUnstorable(member, [...path, name]);
    if (found !== null) return found;
  }
  return null;
}

interface Described {
  type?: string;
  items?: Described;
  properties?: Record<string, Described>;
}

/** Matches decimal integers. JavaScript's own conversion would also accept `0x10` and `1e2`. */
const INTEGER = /^-?(?:0|[1-9]\d*)$/;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;

/**
 * Converts the values of a path or a query to the types of their schemas. Values that are not decimal numbers or
 * booleans stay text, which the validation then refuses.
 */
function fromText(schema: TSchema, input: unknown): unknown {
  return valueOf(schema, input);
}

function valueOf({ type, items = {}, properties }: Described, value: unknown): unknown {
  if (value === undefined) return undefined;
  if (type === 'array') return [value].flat().map((entry) => valueOf(items, entry));
  if (typeof value === 'object' && value !== null && properties !== undefined) return membersOf(properties, value);
  if (typeof value !== 'string') return value;
  if (type === 'integer') return INTEGER.test(value) ? Number(value) : value;
  if (type === 'number') return NUMBER.test(value) ? Number(value) : value;
  if (type === 'boolean') return value === 'true' || (value === 'false' ? false : value);
  return value;
}

function membersOf(properties: Record<string, Described>, value: object): object {
  const members = Object.entries(value).map(([name, member]) => [name, valueOf(properties[name] ?? {}, member)]);
  return Object.fromEntries(members) as object;
}
