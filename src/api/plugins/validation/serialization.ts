import type { FastifyInstance, FastifySerializerCompiler } from 'fastify';
import build from 'fast-json-stringify';

type Schema = Readonly<Record<string, unknown>>;

/**
 * Writes answers by their schemas, which keep out what is not in them, and never refuse a value: a version after this one, which runs
 * beside it during an upgrade or before a way back, may have stored a strategy, a state or a kind of gate that this one does not know. Enumerations
 * of answers are open, as the OpenAPI document says, so such a value is passed on as it is.
 */
export function useOpenSerialization(app: FastifyInstance): void {
  app.setSerializerCompiler(compile);
}

/** Compiles a schema when the first answer needs it: those of all routes take half a second, which every start would wait for. */
const compile: FastifySerializerCompiler<Schema> = ({ schema }) => {
  let write: ReturnType<typeof build> | undefined;
  return (answer) => (write ??= build(openSchema(schema)))(answer);
};

/**
 * The schema with enumerations that take any value, and unions that take what none of their variants describes.
 * @param isTagged whether it is one of several variants: what tells them apart, their enumerated members and names, stays as it is
 */
export function openSchema(schema: Schema, isTagged = false): Schema {
  const keywords = Object.entries(schema).filter(([keyword, value]) => !closes(keyword, value) || isTagged);
  return Object.fromEntries(keywords.map(([keyword, value]) => [keyword, openKeyword(keyword, value, isTagged)]));
}

/** Whether a keyword refuses what it does not know. Members that are not described are left out of answers without it, too. */
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

/** The variants are tried in their order, and the one that takes everything comes last. */
function openUnion(variants: readonly Schema[]): Schema[] {
  const isTagged = variants.filter(({ type }) => type !== 'null').length > 1;
  return [...variants.map((variant) => openSchema(variant, isTagged)), {}];
}

function openMembers(members: Readonly<Record<string, Schema>>, isTagged: boolean): Record<string, Schema> {
  return Object.fromEntries(
    Object.entries(members).map(([name, member]) => [name, isTagged && 'enum' in member ? member : openSchema(member)]),
  );
}
