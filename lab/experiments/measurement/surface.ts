import { withOnnxProducts } from '../../../core/engine/compiled/onnx-products.ts';
import { readEvolution } from '../../../core/adaptation/evolutions.ts';
import { meanLoss } from '../../../core/data/evaluation/measure.ts';
import { loadTaskData } from '../../../core/data/task-data.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import { Fusion } from '../../../core/method/fusion/fusion.ts';
import type { SurfaceItem } from '../plan/items.ts';
import { nameOf } from '../plan/tenant-spec.ts';
import type { Measured, SurfaceRecord } from '../records.ts';
import { DEFAULT_JOB_OPTIONS } from '../../../core/options/job-settings.ts';
import type { Laboratory } from './laboratory.ts';

/** Measures the loss on the search rows at every point of a grid of α and β. */
export async function measureSurface(laboratory: Laboratory, item: SurfaceItem): Promise<Measured<SurfaceRecord>> {
  const { signal } = laboratory.options;
  const tenant = await laboratory.tenant(item.tenant);
  const { tokenizer, model, runtime } = await laboratory.newBase(item.evolution);
  const { config } = model;
  const { append_eos: appendEos } = item.tenant.task;
  const files = { train: tenant.train, validation: tenant.validation };
  const { search } = await loadTaskData(files, { tokenizer, config, appendEos });
  const rows = search.slice(0, item.searchRows ?? DEFAULT_JOB_OPTIONS.search_rows);
  const adapter = await loadAdapter(tenant.adapter, config);
  const evolution = await readEvolution(laboratory.evolutionFolder(item.evolution, null));
  const points = await withOnnxProducts(async (products) => {
    const fusion = await Fusion.prepare(adapter, evolution, { products });
    const points = [];
    for (const alpha of equalSteps(item.grid.alpha)) {
      for (const beta of equalSteps(item.grid.beta)) {
        const { value } = await meanLoss(runtime, await fusion.at({ alpha, beta }), rows, { signal });
        points.push({ alpha, beta, loss: value });
      }
    }
    return points;
  });
  return { type: 'surface', ...nameOf(item.tenant), evolution: item.evolution.name, strategy: item.strategy, points };
}

function equalSteps([first, last, count]: readonly [number, number, number]): number[] {
  return Array.from({ length: count }, (_, i) => first + ((last - first) * i) / (count - 1));
}
