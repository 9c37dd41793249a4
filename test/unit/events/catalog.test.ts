import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { NewEvent } from '../../../src/delivery/events/index.ts';
import { EVENT_CATALOG, EVENT_TYPES } from '../../../src/delivery/events/catalog/catalog.ts';
import { titleOf } from '../../../src/delivery/events/event.schemas.ts';

const file = (path: string) => readFile(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), 'utf8');

test('data that is not of its type does not compile', () => {
  const about = { tenantId: null, subjectId: 'x' };
  const events: NewEvent[] = [
    { ...about, type: 'rollout.wave_waiting', data: { wave: 2 } },
    // @ts-expect-error the wave is missing
    { ...about, type: 'rollout.wave_waiting', data: {} },
    // @ts-expect-error a wave is a number
    { ...about, type: 'rollout.wave_waiting', data: { wave: '2' } },
    // @ts-expect-error no event has this type
    { ...about, type: 'rollout.happened', data: {} },
  ];
  expect(events).toHaveLength(4);
});

test('docs/events.md has a row for each type, with its data', async () => {
  const rows = (await file('docs/events.md')).split('\n').filter((line) => /^\| `\w+\.\w+`/.test(line));
  const documented = rows.map((row) =>
    row
      .split('|')
      .slice(1, 4)
      .map((cell) => cell.trim()),
  );
  const expected = EVENT_TYPES.map((type) => {
    const { description, data } = EVENT_CATALOG[type];
    const required = new Set<string>(data.required ?? []);
    const members = Object.keys(data.properties).map((name) => `\`${name}\`${required.has(name) ? '' : '?'}`);
    return [`\`${type}\``, description, members.join(', ')];
  });
  expect(documented).toEqual(expected);
});

interface OpenApi {
  components: {
    schemas: Record<string, { properties: { type: { enum: string[] } } }> & {
      Event: { anyOf: { $ref: string }[] };
      KnownEvent: {
        oneOf: { $ref: string }[];
        discriminator: { propertyName: string; mapping: Record<string, string> };
      };
    };
  };
}

test('the OpenAPI file tells events apart by type, each with a schema of its own', async () => {
  const { schemas } = (JSON.parse(await file('openapi/openapi.json')) as OpenApi).components;
  const { oneOf, discriminator } = schemas.KnownEvent;
  expect(discriminator.propertyName).toBe('type');
  expect(Object.keys(discriminator.mapping)).toEqual(EVENT_TYPES);
  expect(oneOf.map(({ $ref }) => $ref)).toEqual(Object.values(discriminator.mapping));
  for (const type of EVENT_TYPES) expect(schemas[titleOf(type)]!.properties.type.enum).toEqual([type]);

  // Clients try the members in turn, so the one that takes every type has to be the last.
  expect(schemas.Event.anyOf.map(({ $ref }) => $ref)).toEqual([
    '#/components/schemas/KnownEvent',
    '#/components/schemas/UnknownEvent',
  ]);
});
