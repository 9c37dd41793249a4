import { readModelConfig } from '../../core/formats/hugging-face/model-weights.ts';
import { readServedFeatures, servingRefusal } from '../../core/formats/peft/serving-rules.ts';
import type { ServingProfile } from '../../core/options/serving-profile.ts';
import { PermanentError } from '../../src/platform/queue/index.ts';

/**
 * Refuses an adapter that the serving profile of its base model excludes, before the job measures or trains. Such an
 * adapter was imported before the profile was set.
 * @throws PermanentError `adapter_not_servable`
 */
export async function requireServable(
  { servingProfile, name }: { readonly servingProfile: unknown; readonly name: string },
  { adapter, oldBase }: { readonly adapter: string; readonly oldBase: string },
): Promise<void> {
  const profile = servingProfile as ServingProfile | null;
  if (profile === null) return;
  // If files cannot be read, the job itself reports that.
  const config = await readModelConfig(oldBase).catch(() => null);
  const features = config && (await readServedFeatures(adapter, config).catch(() => null));
  const refusal = features && servingRefusal(profile, features);
  if (refusal === null) return;
  throw new PermanentError(
    `${refusal.message} (\`${refusal.feature}\` in the serving profile of base model ${name}): ` +
      'import a version that they serve, or change the profile',
    { code: 'adapter_not_servable' },
  );
}
