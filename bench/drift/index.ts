import { parseArgs } from 'node:util';
import { writeFileAtomic } from '../../core/formats/atomic-file.ts';
import { evolutionBetweenFolders } from '../../core/method/evolution/folder-evolution.ts';
import { renderSvg } from '../chart.ts';
import { driftHeatMap } from './heat-map.ts';

/** `node --import tsx bench/drift/index.ts OLD NEW --out FILE.svg [--title TEXT]` draws what changed between two base models. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string' }, title: { type: 'string' } },
});
const [old, next] = positionals;
if (old === undefined || next === undefined || values.out === undefined) {
  throw new Error('expected two folders and --out FILE.svg');
}
const evolution = await evolutionBetweenFolders(old, next);
const drift = (100 * evolution.adaptable.drift).toFixed(2);
const text = values.title ?? `From ${old} to ${next}`;
const subtitle = `‖W_new − W_old‖ / ‖W_old‖ of every adaptable layer; all together ${drift} %`;
await writeFileAtomic(values.out, await renderSvg(driftHeatMap(evolution, { text, subtitle })));
