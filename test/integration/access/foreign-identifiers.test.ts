import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExampleRequest } from './examples.ts';
import { readOperations, type OwnedReference } from './operations.ts';
import { admits, exampleOf, send } from './requests.ts';
import { createAccessWorld, type AccessWorld, type Owner } from './world.ts';

const operations = readOperations();
const forTenants = operations.filter((operation) => admits(operation, 'tenant:admin'));
const places = forTenants.flatMap((operation) => operation.owned.map((reference) => ({ operation, reference })));

// Tests the queries' conditions and the database's policies separately: each must keep tenants apart without the other.
describe.each([
  { name: 'with row-level security', rowSecurity: true },
  { name: 'without row-level security', rowSecurity: false },
])('$name, what belongs to another tenant does not exist', ({ rowSecurity }) => {
  let world: AccessWorld;
  let allRows: string;
  beforeAll(async () => {
    world = await createAccessWorld({ rowSecurity });
    allRows = await queryOfRows(world);
  });
  afterAll(() => world.close());

  /** All rows of the other tenant, with their tables. */
  const foreignRows = () => world.service.db.$queryRawUnsafe<object[]>(allRows, world.other.id);

  test('the other tenant has rows in many tables', async () => {
    const rows = (await foreignRows()) as { table: string }[];
    expect(new Set(rows.map(({ table }) => table)).size).toBeGreaterThan(10);
  });

  test.each(places)('$operation.id, $reference.in $reference.name', async ({ operation, reference }) => {
    const kind = reference.kind as keyof Owner['owned'];
    const ask = async (id: string) =>
      send(world, operation, withReference(await exampleOf(world, operation), reference, id), world.acme.key);
    const before = await foreignRows();
    const foreign = await ask(world.other.owned[kind]);
    const absent = await ask(`${kind}_01900000-0000-7000-8000-000000000000`);
    expect(foreign.statusCode).toBe(absent.statusCode);
    if (reference.in === 'query' && foreign.statusCode === 200) {
      expect(foreign.json().data).toEqual([]);
      expect(foreign.json()).toEqual(absent.json());
    } else {
      expect([foreign.statusCode, foreign.json().code], foreign.body).toEqual([404, 'not_found']);
      expect(Object.keys(foreign.json())).toEqual(Object.keys(absent.json()));
    }
    expect(await foreignRows()).toEqual(before);
  });

  test('also where all identifiers are of the same other tenant', async () => {
    const several = forTenants.filter(({ owned }) => owned.filter((place) => place.in === 'path').length > 1);
    expect(several.length).toBeGreaterThan(0);
    for (const operation of several) {
      const example = await exampleOf(world, operation, { owner: world.other });
      expect((await send(world, operation, example, world.acme.key)).statusCode, operation.id).toBe(404);
    }
  });

  test('and no list shows it', async () => {
    // Resolving a name is not a list.
    const all = forTenants.filter(({ id }) => id !== 'resolveName');
    const lists = all.filter(({ method, path }) => method === 'GET' && !path.includes('{'));
    expect(lists.length).toBeGreaterThan(4);
    const foreign = Object.values(world.other.owned);
    for (const operation of lists) {
      const answer = await send(world, operation, {}, world.acme.key);
      expect(answer.statusCode, operation.id).toBe(200);
      for (const id of foreign) expect(answer.body, operation.id).not.toContain(id);
    }
    for (const id of foreign) {
      const events = await world.service.request({ url: `/v1/events?subject_id=${id}`, key: world.acme.key });
      expect(events.json().data).toEqual([]);
    }
  });
});

function withReference(example: ExampleRequest, reference: OwnedReference, id: string): ExampleRequest {
  const part = example[reference.in];
  return { ...example, [reference.in]: { ...(typeof part === 'string' ? {} : part), [reference.name]: id } };
}

/** Creates the query of all rows of a tenant in all tables, which takes the tenant's identifier. */
async function queryOfRows({ service }: AccessWorld): Promise<string> {
  const tables = await service.db.$queryRaw<{ name: string }[]>`
    SELECT table_name::text AS name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name = 'tenant_id'`;
  const selections = tables.map(
    ({ name }) => `SELECT '${name}' AS "table", t::text AS "row" FROM "${name}" t WHERE tenant_id = $1`,
  );
  return `${selections.join(' UNION ALL ')} ORDER BY 1, 2`;
}
