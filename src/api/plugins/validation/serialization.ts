import type { FastifyInstance, FastifySerializerCompiler } from 'fastify';
import build from 'fast-json-stringify';

type Schema = Readonly<Record<string, unknown>>;

/**
 * Serializes answers by their schemas, which drop unknown members but never refuse a value. During an upgrade or before
 * a rollback, a later version may have stored a strategy, a state or a kind of gate that this version does not know.
 * The OpenAPI document declares enumerations in answers as open, so such values are passed on.
 */
export function useOpenSerialization(app: FastifyInstance): void {
  app.setSerializerCompiler(compile);
}

/**
 * Compiles the schema of an answer when the first answer needs it: compiling all schemas would add half a second to
 * every start.
 */
const compile: FastifySerializerCompiler<Schema> = ({ schema }) => {
  let write: ReturnType<typeof build> | undefined;
  return (answer) => (write ??= build(openSchema(schema)))(answer);
};

/**
 * Rewrites a schema so that it accepts values which a later version may add: any value for an enumeration, and values
 * that match no variant of a union.
 * @param isTagged whether the schema is a variant of a union. Its enumerations and member names then stay as they are,
 * because they tell the variants apart
 */
export function openSchema(schema: Schema, isTagged = false): Schema {
  const keywords = Object.entries(schema).filter(([keyword, value]) => !closes(keyword, value) || isTagged);
  return Object.fromEntries(keywords.map(([keyword, value]) => [keyword, openKeyword(keyword, value, isTagged)]));
}

/**
 * Whether a keyword of a JSON schema makes it refuse unknown values. Unknown members of an answer are omitted even
 * without such a keyword.
 */
function closes(keyword: string, value: unknown): boolean {
  return keyword === 'enum' || (keyword === 'additionalProperties' && value === false);
}

function openKeyword(keyword: string, value: unknown, isTagged: boolean): unknown {
  if (keyword === 'anyOf' || keyword === 'oneOf') return openUnion(value as readonly Schema[]);
  if (keyword === 'allOf') return (value as readonly Schema[]).map((part) => openSchema(part, isTagged));
  if (keyword === 'properties' || keyword === 'patternProperties') {
    return openMembers(value as Readonly<Record<string, Schema>>, isTagged);
  }
  const isSchema = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isSchema && (keyword === 'items' || keyword === 'additionalProperties') ? openSchema(value as Schema) : value;
}

/**
 * Rewrites a union so that it accepts any value. Variants are tried in order, so the one that accepts everything comes
 * last.
 */
function openUnion(variants: readonly Schema[]): Schema[] {
  const isTagged = variants.filter(({ type }) => type !== 'null').length > 1;
  return [...variants.map((variant) => openSchema(variant, isTagged)), {}];
}

function openMembers(members: Readonly<Record<string, Schema>>, isTagged: boolean): Record<string, Schema> {
  return Object.fromEntries(
    Object.entries(members).map(([name, member]) => [name, isTagged && 'enum' in member ? member : openSchema(member)]),
  );
}
