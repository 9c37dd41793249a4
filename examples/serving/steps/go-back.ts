import { readlink } from 'node:fs/promises';
import path from 'node:path';
import { setCurrentVersion, type ServedVersion } from '../../../openapi/clients/typescript/src/index.ts';
import { printTable, seconds } from '../print-table.ts';
import { SERVED, type ServedAdapter } from '../tenants.ts';
import { until } from '../until.ts';
import type { Move } from './options.ts';

/** Alias of the adapter that is rolled back. */
export const GOES_BACK = 'globex.catalogue-plurals';

/**
 * Rolls one adapter back on the new base: the engine drops its alias, the folder drops its link, and the old pool
 * answers as before.
 */
export async function goBack(move: Move, served: readonly ServedVersion[]): Promise<void> {
  const { fleet, gateway, next, before, servingFolder, signal, saw, say } = move;
  const version = served.find(({ alias }) => alias === GOES_BACK);
  const { prompt } = SERVED.find(({ alias }) => alias === GOES_BACK) as ServedAdapter;
  if (version === undefined) return saw(`${GOES_BACK} can go back`, false);
  const base = next.baseModelVersionId;
  const set = (to: string | null, from: string | null) =>
    setCurrentVersion({
      ...{ client: fleet.operator, path: { id: version.adapter_id, base_model_version_id: base } },
      body: { version_id: to, expected_version_id: from },
    });
  const link = path.join(servingFolder, base, GOES_BACK);
  const isThere = async (): Promise<boolean> => (await next.engine.adapters()).has(GOES_BACK);
  const hasLink = (): Promise<boolean> =>
    readlink(link).then(
      () => true,
      () => false,
    );

  const rows = [];
  for (const [step, to, from] of [
    ['taken back', null, version.adapter_version_id],
    ['current again', version.adapter_version_id, null],
  ] as const) {
    const begun = Date.now();
    await set(to, from);
    const isSeen = await until(signal, async () => {
      const wanted = to !== null;
      return ((await isThere()) === wanted && (await hasLink()) === wanted) || null;
    });
    const took = Date.now() - begun;
    saw(
      `the alias of ${GOES_BACK} ${to === null ? 'is gone' : 'is back'} on ${next.engine.servingName} within seconds`,
      isSeen !== null,
    );
    const answer = await gateway.ask(GOES_BACK, prompt);
    const wanted = to === null ? before.get(GOES_BACK)?.name : version.name;
    saw(`${GOES_BACK} is answered by ${wanted} when it is ${step}`, answer !== null && answer.name === wanted);
    if (to === null) saw(`${GOES_BACK} answers as before`, answer?.text === before.get(GOES_BACK)?.text);
    rows.push({
      [GOES_BACK]: step,
      'the engine follows after': seconds(took),
      pool: answer?.pool,
      'answered by': answer?.name,
      answer: answer?.text,
    });
  }
  printTable(say, rows);
}
