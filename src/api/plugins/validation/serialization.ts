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

/** Compiles a schema when the first answer needs it: compiling all of them would take half a second of every start. */
const compile: FastifySerializerCompiler<Schema> = ({ schema }) => {
  let write: ReturnType<typeof build> | undefined;
  return (answer) => (write ??= build(openSchema(schema)))(answer);
};

/**
 * Opens a schema: enumerations accept any value, and unions accept values that match no variant.
 * @param isTagged whether the schema is a variant of a union; its enumerated members and member names tell the variants
 * apart, so they stay closed
 */
export function openSchema(schema: Schema, isTagged = false): Schema {
  const keywords = Object.entries(schema).filter(([keyword, value]) => !closes(keyword, value) || isTagged);
  return Object.fromEntries(keywords.map(([keyword, value]) => [keyword, openKeyword(keyword, value, isTagged)]));
}

/**
 * Whether a keyword refuses unknown values. Answers omit members without a description even if the keyword is missing.
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

/** Opens a union. Variants are tried in order, so the variant that accepts everything comes last. */
function openUnion(variants: readonly Schema[]): Schema[] {
  const isTagged = variants.filter(({ type }) => type !== 'null').length > 1;
  return [...variants.map((variant) => openSchema(variant, isTagged)), {}];
}

function openMembers(members: Readonly<Record<string, Schema>>, isTagged: boolean): Record<string, Schema> {
  return Object.fromEntries(
    Object.entries(members).map(([name, member]) => [name, isTagged && 'enum' in member ? member : openSchema(member)]),
  );
}
