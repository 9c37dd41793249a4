import { withOnnxProducts } from '../engine/compiled/onnx-products.ts';
import type { BaseCache } from '../engine/base-cache.ts';
import { readAdapterManifest } from '../formats/peft/adapter-manifest.ts';
import { loadAdapter } from '../formats/peft/peft-adapter.ts';
import { saveAdapter } from '../formats/peft/peft-adapter-writer.ts';
import { COPY, REVERT } from '../method/fusion/coefficients.ts';
import { Fusion } from '../method/fusion/fusion.ts';
import type { Adapter } from '../models/lora/adapter.ts';
import { evolutionBetween, readEvolution, requireCompatible, requireFingerprint } from './evolutions.ts';

/** Request to carry an adapter over to the new base without any rows. Plain JSON. */
export interface ProvisionalSpec {
  /** Folder of the old base. `newBase` is the folder of the new base. */
  readonly oldBase: string;
  readonly newBase: string;
  /** Name by which serving engines know the new base. */
  readonly newBaseName: string;
  /** PEFT folder of the old adapter version, which is carried over. */
  readonly adapter: string;
  /** Identifier of the old adapter version. The new `readapt.json` names it as the parent. */
  readonly parent: string;
  /**
   * Way of carrying over: `revert` undoes the base's change as far as the adapter's rank reaches; `reuse` copies the
   * adapter.
   */
  readonly strategy: 'revert' | 'reuse';
  /** Folder that `evolve` has written; null if there is none, so that `revert` computes the evolution itself. */
  readonly evolution: string | null;
  /** PEFT folder that the new adapter is written to. It is created, or replaced as a whole. */
  readonly outDir: string;
}

export interface ProvisionalOutcome {
  readonly dir: string;
  /** Fusion coefficients α and β of the new adapter. */
  readonly alpha: number;
  readonly beta: number;
}

/**
 * Makes an adapter for the new base, and writes it as a PEFT folder whose `readapt.json` marks it as provisional. No
 * row is read and nothing is measured; the bases' weights are read only if the evolution has to be computed.
 * @throws IncompatibleBasesError; FormatError if the adapter cannot be read; AdaptationError `incompatible_evolution`;
 * the signal's reason
 */
export async function makeProvisional(
  bases: BaseCache,
  spec: ProvisionalSpec,
  signal: AbortSignal,
): Promise<ProvisionalOutcome> {
  const [oldBase, newBase] = [await bases.describe(spec.oldBase), await bases.describe(spec.newBase)];
  await requireCompatible(oldBase, newBase);
  const old = await loadAdapter(spec.adapter, newBase.config);
  const coefficients = spec.strategy === 'revert' ? REVERT : COPY;
  const adapter = spec.strategy === 'revert' ? await revert(bases, spec, old, signal) : old;
  signal.throwIfAborted();
  const { appendEos = null, maxLength = null } = (await readAdapterManifest(spec.adapter)) ?? {};
  const { parent, strategy, newBaseName: baseModelName } = spec;
  const baseFingerprint = await requireFingerprint(newBase.folder, bases);
  const manifest = { baseFingerprint, parent, strategy, coefficients, provisional: true, appendEos, maxLength };
  await saveAdapter(spec.outDir, adapter, { baseModelName, manifest, replace: true });
  return { dir: spec.outDir, ...coefficients };
}

function revert(bases: BaseCache, spec: ProvisionalSpec, adapter: Adapter, signal: AbortSignal): Promise<Adapter> {
  return withOnnxProducts(async (products) => {
    const evolution =
      spec.evolution === null
        ? await evolutionBetween(spec.oldBase, spec.newBase, { bases, products, signal })
        : await readEvolution(spec.evolution);
    return (await Fusion.prepare(adapter, evolution, { products })).at(REVERT);
  });
}
