type Json = Record<string, unknown>;

/**
 * Rewrites all schemas in forms that client generators agree on: numbers with a `format`; nullable values with a `type`
 * of two names, or with `anyOf` a reference and null; tagged unions with `oneOf` and a `discriminator`. The set of
 * valid values stays unchanged.
 */
export function useGeneratorForms<T>(document: T): T {
  const { components = {} } = document as { components?: { schemas?: Record<string, Json> } };
  const rewritten = rewrite(document) as T;
  const { schemas = {} } = (rewritten as { components?: { schemas?: Record<string, Json> } }).components ?? {};
  for (const schema of Object.values(schemas)) discriminate(schema, components.schemas ?? {});
  return rewritten;
}

function rewrite(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(rewrite);
  if (typeof value !== 'object' || value === null) return value;
  const node: Json = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, rewrite(member)]));
  return nullable(withFormat(withoutRarePattern(node)));
}

/**
 * Matches regular expressions with lookaround or Unicode classes, which some programming languages do not support. The
 * OpenAPI document omits such patterns, and describes them in words.
 */
const RARE = /\\p\{|\(\?<?[=!]/i;

function withoutRarePattern(node: Json): Json {
  const { pattern, ...rest } = node;
  return typeof pattern === 'string' && RARE.test(pattern) ? rest : node;
}

/** Largest 32-bit integer. Integers without a maximum in their schema, such as byte counts, may exceed it. */
const INT32 = 2 ** 31 - 1;

function withFormat(node: Json): Json {
  // The schema has no type, because the validation sees a stream rather than a string.
  if (node.format === 'binary') return { type: 'string', ...node };
  if ('format' in node) return node;
  if (node.type === 'number') return { ...node, format: 'double' };
  if (node.type !== 'integer') return node;
  return { ...node, format: typeof node.maximum === 'number' && node.maximum <= INT32 ? 'int32' : 'int64' };
}

function nullable(node: Json): Json {
  const { anyOf, ...rest } = node;
  if (!Array.isArray(anyOf) || anyOf.length !== 2 || !isNull(anyOf[1])) return node;
  const inner = anyOf[0] as Json;
  if (typeof inner.type === 'string') return { ...inner, ...rest, type: [inner.type, 'null'] };
  // The description of the member stays beside the reference.
  const { $ref, ...said } = inner;
  return $ref === undefined ? node : { anyOf: [{ $ref }, { type: 'null' }], ...said, ...rest };
}

function isNull(schema: unknown): boolean {
  return (schema as Json).type === 'null';
}

/**
 * Rewrites a union whose variants differ by one member, the discriminator, as `oneOf`. Each value of that member is
 * mapped to its variant.
 */
function discriminate(schema: Json, schemas: Record<string, Json>): void {
  const { anyOf, discriminator } = schema as { anyOf?: { $ref: string }[]; discriminator?: { propertyName: string } };
  if (anyOf === undefined || discriminator === undefined) return;
  const { propertyName } = discriminator;
  const valueOf = ($ref: string) => {
    const { properties } = schemas[$ref.split('/').at(-1)!] as { properties: Record<string, { enum: [string] }> };
    return properties[propertyName]!.enum[0];
  };
  schema.oneOf = anyOf;
  schema.discriminator = { propertyName, mapping: Object.fromEntries(anyOf.map(({ $ref }) => [valueOf($ref), $ref])) };
  delete schema.anyOf;
}
