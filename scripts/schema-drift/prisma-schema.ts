/**
 * Converts `schema.prisma` to a line for each enum, table, column, key and index that Prisma would create on
 * PostgreSQL.
 * @throws Error for constructs that this project does not use, so that nothing stays unchecked
 */
export function describePrismaSchema(source: string): string[] {
  const blocks = [...source.matchAll(/^(enum|model) (\w+) \{\n([\s\S]*?)^\}/gm)].map(([, kind, name, body]) => ({
    kind: kind as 'enum' | 'model',
    name: name as string,
    lines: (body as string)
      .split('\n')
      .map((line) => line.replace(/\s*\/\/.*$/, '').trim())
      .filter((line) => line !== ''),
  }));
  const schema: Schema = { enums: new Map(), models: new Map() };
  for (const { kind, name, lines } of blocks) {
    const table = lines.map((line) => /^@@map\("(\w+)"\)$/.exec(line)?.[1]).find(Boolean) ?? name;
    if (kind === 'enum') schema.enums.set(name, { type: table, values: lines.filter((line) => /^\w+$/.test(line)) });
    else schema.models.set(name, { table, lines, columns: new Map() });
  }
  for (const model of schema.models.values()) readColumns(model);
  return [
    ...[...schema.enums.values()].map(({ type, values }) => `enum ${type} (${values.join(', ')})`),
    ...[...schema.models.values()].flatMap((model) => describeModel(schema, model)),
  ].sort();
}

interface Model {
  table: string;
  lines: string[];
  /** Column names by field. */
  columns: Map<string, string>;
}

interface Schema {
  enums: Map<string, { type: string; values: string[] }>;
  models: Map<string, Model>;
}

const SCALARS: Record<string, string> = {
  String: 'text',
  Boolean: 'boolean',
  Int: 'integer',
  BigInt: 'bigint',
  Float: 'double precision',
  Decimal: 'numeric(65,30)',
  Json: 'jsonb',
};

function readColumns(model: Model): void {
  for (const line of model.lines) {
    const field = /^(\w+)\s/.exec(line)?.[1];
    if (field === undefined) continue;
    model.columns.set(field, /(?<!@)@map\("(\w+)"\)/.exec(line)?.[1] ?? field);
  }
}

function describeModel(schema: Schema, model: Model): string[] {
  return [`table ${model.table}`, ...model.lines.flatMap((line) => describeLine(schema, model, line))];
}

/** Argument of an index: `[fields]`, with an optional condition and name. */
const INDEX_ARGUMENT = /^\[(\w+(?:, \w+)*)\](?:, where: raw\("([^"]+)"\))?(?:, map: "(\w+)")?$/;

function describeLine(schema: Schema, model: Model, line: string): string[] {
  const { table } = model;
  const block = /^@@(id|unique|index|map)\((.*)\)$/.exec(line);
  if (block !== null) {
    const [, kind, argument = ''] = block;
    if (kind === 'map') return [];
    const [, fields, condition, ownName] = INDEX_ARGUMENT.exec(argument) ?? [];
    const columns = toColumns(model, fields, line);
    if (kind === 'id') return [describePrimaryKey(table, columns)];
    const where = condition === undefined ? '' : ` where (${condition})`;
    return [`${describeIndex(kind === 'unique', table, columns, ownName)}${where}`];
  }
  const field = /^(\w+)\s+(\w+)(\?|\[\])?(?:\s+(.*))?$/.exec(line);
  if (field === null) throw new Error(`schema.prisma has a line that the drift check does not know: ${line}`);
  const [, name = '', type = '', modifier = '', attributes = ''] = field;
  if (schema.models.has(type)) return describeRelation(schema, model, { type, modifier, attributes, line });
  return describeColumn(schema, model, { name, type, modifier, attributes, line });
}

interface Field {
  name: string;
  type: string;
  modifier: string;
  attributes: string;
  line: string;
}

const KNOWN_ATTRIBUTE = new RegExp(
  [
    /@(id|unique|ignore)\b/,
    /@map\("\w+"\)/,
    /@db\.Timestamptz\(\d\)/,
    /@default\((\w+(\(\))?|"[^"]*"|dbgenerated\("\w+"\))\)/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
);

function describeColumn(schema: Schema, model: Model, field: Field): string[] {
  const { table } = model;
  const { name, modifier, attributes, line } = field;
  const column = model.columns.get(name) as string;
  const nullability = modifier === '' ? 'not null' : 'null';
  const type = `${columnType(schema, field)}${modifier === '[]' ? '[]' : ''}`;
  const lines = [
    `column ${table}.${column} ${type} ${nullability} default ${columnDefault(schema, table, column, field)}`,
  ];
  if (/(?<!@)@id\b/.test(attributes)) lines.push(describePrimaryKey(table, [column]));
  if (/(?<!@)@unique\b/.test(attributes)) lines.push(describeIndex(true, table, [column]));
  const rest = attributes.replace(KNOWN_ATTRIBUTE, '').trim();
  if (rest !== '') throw new Error(`schema.prisma has an attribute that the drift check does not know: ${line}`);
  return lines;
}

function columnType(schema: Schema, { type, attributes, line }: Field): string {
  if (type === 'DateTime') {
    const precision = /@db\.Timestamptz\((\d)\)/.exec(attributes)?.[1];
    return precision === undefined ? 'timestamp(3) without time zone' : `timestamp(${precision}) with time zone`;
  }
  const known = SCALARS[type] ?? schema.enums.get(type)?.type;
  if (known === undefined) throw new Error(`schema.prisma has a type that the drift check does not know: ${line}`);
  return known;
}

function columnDefault(schema: Schema, table: string, column: string, field: Field): string {
  const { type, attributes } = field;
  const ofDatabase = /@default\(dbgenerated\("(\w+)"\)\)/.exec(attributes)?.[1];
  if (ofDatabase !== undefined) return ofDatabase;
  const value = /@default\((\w+(?:\(\))?|"[^"]*")\)/.exec(attributes)?.[1];
  if (value === undefined) return 'none';
  if (value === 'now()') return 'CURRENT_TIMESTAMP';
  if (value === 'autoincrement()') return `nextval('${table}_${column}_seq'::regclass)`;
  if (value.startsWith('"')) return `'${value.slice(1, -1)}'::${columnType(schema, field)}`;
  const enumeration = schema.enums.get(type);
  return enumeration === undefined ? value : `'${value}'::${enumeration.type}`;
}

function describeRelation(schema: Schema, model: Model, field: Omit<Field, 'name'>): string[] {
  const { type, modifier, attributes, line } = field;
  const fields = /fields: \[([\w, ]+)\]/.exec(attributes)?.[1];
  if (fields === undefined) return [];
  const target = schema.models.get(type) as Model;
  const columns = toColumns(model, fields, line);
  const references = toColumns(target, /references: \[([\w, ]+)\]/.exec(attributes)?.[1], line);
  const byDefault = modifier === '?' ? 'SET NULL' : 'RESTRICT';
  const onDelete = /onDelete: (\w+)/.exec(attributes)?.[1];
  const said = onDelete === undefined ? byDefault : { Cascade: 'CASCADE', Restrict: 'RESTRICT' }[onDelete];
  if (said === undefined) throw new Error(`unknown onDelete in schema.prisma: ${line}`);
  const name = `${model.table}_${columns.join('_')}_fkey`;
  return [
    `foreign key ${name} on ${model.table} (${columns.join(', ')}) ` +
      `references ${target.table} (${references.join(', ')}) on delete ${said} on update CASCADE`,
  ];
}

function toColumns(model: Model, fields: string | undefined, line: string): string[] {
  if (fields === undefined) throw new Error(`schema.prisma has a line that the drift check does not know: ${line}`);
  return fields.split(',').map((field) => {
    const column = model.columns.get(field.trim());
    if (column === undefined) throw new Error(`schema.prisma names a field that does not exist: ${line}`);
    return column;
  });
}

/** Describes a primary key. Prisma names it after the table only, and other keys after their columns as well. */
function describePrimaryKey(table: string, columns: string[]): string {
  return `primary key ${table}_pkey on ${table} (${columns.join(', ')})`;
}

/** Longest name in PostgreSQL, in bytes. Prisma cuts off the end of a longer one before it appends the suffix. */
const MAX_NAME_BYTES = 63;

function describeIndex(unique: boolean, table: string, columns: string[], ownName?: string): string {
  const suffix = unique ? '_key' : '_idx';
  const name = ownName ?? `${table}_${columns.join('_')}`.slice(0, MAX_NAME_BYTES - suffix.length) + suffix;
  return `${unique ? 'unique index' : 'index'} ${name} on ${table} (${columns.join(', ')})`;
}
