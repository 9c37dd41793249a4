import build from 'fast-json-stringify';
import Type from 'typebox';
import { expect, test } from 'vitest';
import { Nullable, StrategySchema } from '../../../src/platform/contract/schemas.ts';
import { GateRule } from '../../../core/options/gates.ts';
import { openSchema } from '../../../src/api/plugins/validation/serialization.ts';

/** Serializes a value by the schema and parses the result. */
const written = (schema: Type.TSchema, value: unknown): unknown =>
  JSON.parse(build(openSchema({ ...Type.Object({ value: schema }) }))({ value })) as unknown;

const Inner = Type.Object({ state: Type.Enum(['on', 'off']), name: Type.String() }, { additionalProperties: false });

test.each([
  ['an enumeration', StrategySchema, 'later'],
  ['one that may be null', Nullable(StrategySchema), 'later'],
  ['null', Nullable(StrategySchema), null],
  ['several', Type.Array(Nullable(StrategySchema)), ['auto', 'later', null]],
  ['in a record', Type.Record(Type.String(), Nullable(StrategySchema)), { first: 'later' }],
  ['in an object that may be null', Nullable(Inner), { state: 'later', name: 'inner' }],
  ['a kind of gate', GateRule, { kind: 'later', bound: 0.5, of: { slices: ['rare'] } }],
  ['a known gate', GateRule, { kind: 'absolute', target: 0.9, on_inconclusive: 'hold' }],
])('a value that a later version may have stored is passed on: %s', (_name, schema, value) => {
  expect(written(schema, value)).toEqual({ value });
});

test.each([
  ['in an object', Inner],
  ['in an object that may be null', Nullable(Inner)],
])('what is not in the schema stays out, %s', (_name, schema) => {
  expect(written(schema, { state: 'later', name: 'inner', secret: 1 })).toEqual({
    value: { state: 'later', name: 'inner' },
  });
});

test('members of the names of keywords are members', () => {
  const schema = Type.Object({
    enum: Type.String(),
    anyOf: Nullable(Type.Integer()),
    items: Type.Array(Type.String()),
  });
  const value = { enum: 'a', anyOf: null, items: ['b'] };
  expect(written(schema, value)).toEqual({ value });
});
