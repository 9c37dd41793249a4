import type { FastifyInstance, FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify';
import { registerAjvFormats } from '@fastify/type-provider-typebox';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Value } from 'typebox/value';
import { AppError } from '../../lib/errors.ts';
import { findUnstorable, type Unstorable } from './storable.ts';

/**
 * Validates with TypeBox. Texts of the path and query are converted to the type that the schema asks for; bodies are
 * taken as they are. Defaults are filled in; unknown fields are refused where the schema says
 * `additionalProperties: false`, and never dropped in silence.
 */
export function useTypeBoxValidation(app: FastifyInstance): void {
  registerAjvFormats();
  app.setValidatorCompiler(compile);
}

const compile: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const check = Compile(schema);
  return (input: unknown) => {
    // First, since what follows takes time and stack in proportion to the input.
    const unstorable = findUnstorable(input);
    if (unstorable !== null) return { error: [toValidationError(unstorable)] };
    const converted = httpPart === 'body' ? input : Value.Convert(schema, input);
    const value = Value.Default(schema, converted);
    if (check.Check(value)) return { value };
    return { error: check.Errors(value) as FastifySchemaValidationError[] };
  };
};

function toValidationError({ path, message }: Unstorable): FastifySchemaValidationError {
  const instancePath = path.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  return { keyword: 'storable', instancePath, schemaPath: '#', params: {}, message };
}

interface FieldError {
  /** Path of the field: `gate.target`, or the part of the request if it is meant as a whole. */
  field: string;
  message: string;
}

const PARTS: Record<string, string> = { body: 'body', querystring: 'query', params: 'path', headers: 'headers' };

/** The problem for input that does not fit its schema. */
export function invalidRequest(errors: readonly FastifySchemaValidationError[], context: string): AppError {
  const part = PARTS[context] ?? context;
  const fields = mostSpecific(errors.flatMap((error) => toFieldErrors(error, part)));
  const detail = fields.map(({ field, message }) => `${field} ${message}`).join('; ');
  return new AppError({
    code: 'invalid_request',
    status: 400,
    message: `${part}: ${detail}`,
    details: { errors: fields.map((entry) => ({ in: part, ...entry })) },
  });
}

function toFieldErrors(error: FastifySchemaValidationError, part: string): FieldError[] {
  const base = error.instancePath.split('/').slice(1).map(unescapePointer);
  const at = (names: readonly string[]) => (names.length === 0 ? part : names.join('.'));
  const params = error.params;
  const names = (key: string): string[] => {
    const value = params[key];
    return Array.isArray(value) ? value.map(String) : typeof value === 'string' ? [value] : [];
  };
  if (error.keyword === 'required') {
    const missing = [...names('requiredProperties'), ...names('missingProperty')];
    return missing.map((name) => ({ field: at([...base, name]), message: 'is missing' }));
  }
  if (error.keyword === 'additionalProperties' || error.keyword === 'unevaluatedProperties') {
    const unknown = [
      ...names('additionalProperties'),
      ...names('additionalProperty'),
      ...names('unevaluatedProperties'),
    ];
    return unknown.map((name) => ({ field: at([...base, name]), message: 'is not a known field' }));
  }
  // A member for which the schema is `false`.
  if (error.keyword === 'boolean') return [{ field: at(base), message: 'is not a known field' }];
  return [{ field: at(base), message: error.message ?? `does not satisfy ${error.keyword}` }];
}

function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** An error of a branch of a union also reports the union; one entry for each field and text is enough. */
function mostSpecific(errors: readonly FieldError[]): FieldError[] {
  const seen = new Map(errors.map((error) => [`${error.field}\n${error.message}`, error]));
  return [...seen.values()].slice(0, 20);
}
