import { ProblemError } from '@readapt/client';
import type { FieldErrors } from './request.ts';

/** Field of the form that an error belongs to, by error code, for errors of the API that name no field themselves. */
const FIELDS_OF_CODES: Readonly<Record<string, string>> = {
  path_not_allowed: 'path',
  path_not_found: 'path',
  not_a_folder: 'path',
  invalid_base_model: 'path',
  base_model_version_exists: 'version',
  base_model_version_not_found: 'base_model_version_id',
  url_not_allowed: 'policy.approve',
  approval_secret_missing: 'policy.approve',
};

interface NamedField {
  readonly field: string;
  readonly message: string;
}

/** Messages about a refused request by the field of the form that they concern; empty if they concern no field. */
export function fieldErrorsOf(error: unknown): FieldErrors {
  if (!(error instanceof ProblemError)) return {};
  const named = error.problem.errors;
  if (error.code === 'invalid_request' && Array.isArray(named)) {
    const errors: Record<string, string> = {};
    // A field's first message is about its value; further ones are about the other types that it could have.
    for (const { field, message } of named as NamedField[]) errors[nameOf(field)] ??= message;
    return errors;
  }
  const field = FIELDS_OF_CODES[error.code];
  return field === undefined ? {} : { [field]: error.problem.detail };
}

/**
 * Name of a field without the name of the object around it, which the two kinds of request call `options` and
 * `rollout`.
 */
function nameOf(field: string): string {
  return field.replace(/^(options|rollout)\./, '');
}

/** Message about a field of the form or a part of the field; undefined if there is none. */
export function errorAt(errors: FieldErrors, name: string): string | undefined {
  return errors[name] ?? Object.entries(errors).find(([field]) => field.startsWith(`${name}.`))?.[1];
}
