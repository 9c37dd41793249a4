import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { Fusion } from '../../core/method/fusion/fusion.ts';
import { readEvolution } from '../../core/adaptation/evolve.ts';
import { meanLoss } from '../../core/data/evaluation.ts';
import { resolveOptions } from '../../core/adaptation/job-options.ts';
import { loadTaskData } from '../../core/data/task-data.ts';
import type { SurfaceItem } from '../plan.ts';
import type { Lab, Measured } from './lab.ts';
import { nameOf } from './lab.ts';

/** The loss that a search sees, on every point of a grid. */
export async function measureSurface(lab: Lab, item: SurfaceItem): Promise<Measured> {
  const { signal } = lab.options;
  const tenant = await lab.tenant(item.tenant);
  const base = await lab.base(item.evolution);
  const { tokenizer, model } = base;
  const { search } = await loadTaskData(
    { train: tenant.train, validation: tenant.validation },
    { tokenizer, config: model.config },
  );
  const { searchRows } = resolveOptions(
    { searchRows: item.searchRows },
    { control: false, hiddenSize: model.config.hiddenSize },
  );
  const rows = search.slice(0, searchRows);
  const fusion = new Fusion(
    await loadAdapter(tenant.adapter, model.config),
    await readEvolution(await lab.evolutionFolder(item.evolution)),
  );
  const points = [];
  for (const alpha of steps(item.grid.alpha)) {
    for (const beta of steps(item.grid.beta)) {
      const { value } = await meanLoss(base.runtime, fusion.at({ alpha, beta }), rows, { signal });
      points.push({ alpha, beta, loss: value });
    }
  }
  return { type: 'surface', ...nameOf(item.tenant), evolution: item.evolution.name, strategy: item.strategy, points };
}

/** Equal steps from first to last. */
function steps([first, last, count]: readonly [number, number, number]): number[] {
  return Array.from({ length: count }, (_, i) => first + ((last - first) * i) / (count - 1));
}
