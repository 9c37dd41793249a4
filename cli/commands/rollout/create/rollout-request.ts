import type { RolloutOptions } from '../../../remote/client.ts';
import { UsageError } from '../../../process/errors.ts';
import { toBasePlace, type BasePlace } from '../../../remote/base-place.ts';
import { givenJobOptions } from '../../../options/job-options.ts';
import type { ServiceOptions } from '../../../remote/service.ts';
import { policyOf, type PolicyFlags } from './policy-options.ts';
import { readRolloutFile } from './rollout-file.ts';

export interface CreateOptions extends ServiceOptions, PolicyFlags {
  readonly baseModel?: string;
  readonly baseVersion?: string;
  readonly path?: string;
  readonly servingName?: string;
  readonly retiresAt?: string;
  readonly file?: string;
  readonly dryRun?: boolean;
  readonly watch?: boolean;
  readonly untilWaiting?: boolean;
  readonly control?: 'none' | 'sample' | 'all';
  readonly controlFraction?: number;
}

/** Base model version that a rollout leads to: one that is registered already, or one that the request registers. */
export type VersionOf =
  | { readonly id: string }
  | { readonly model: string; readonly version: string; readonly register?: NewVersion };

/** Location and properties of a base model version that is registered together with its rollout. */
export type NewVersion = BasePlace & {
  readonly serving_name?: string;
  readonly retires_at?: string;
};

export interface RolloutRequest {
  readonly version: VersionOf;
  readonly options: RolloutOptions;
}

/**
 * Combines flags and rollout file into a request. A flag wins over the file.
 * @throws UsageError if they do not describe a rollout
 */
export async function requestOf(flags: CreateOptions): Promise<RolloutRequest> {
  const file = flags.file === undefined ? {} : await readRolloutFile(flags.file);
  const { options: inFile = {} } = file;
  const policy = policyOf(flags, inFile.policy);
  const { control, controlFraction } = flags;
  const options: RolloutOptions = {
    ...inFile,
    ...givenJobOptions(flags),
    ...(control && { control }),
    ...(controlFraction !== undefined && { control_fraction: controlFraction }),
    ...(policy && { policy }),
  };
  return { version: versionOf(flags, file), options };
}

function versionOf(flags: CreateOptions, file: Awaited<ReturnType<typeof readRolloutFile>>): VersionOf {
  const model = flags.baseModel ?? file.base_model;
  const version = flags.baseVersion ?? file.version ?? file.base_model_version_id;
  const path = flags.path ?? file.path;
  const serving_name = flags.servingName ?? file.serving_name;
  const retires_at = flags.retiresAt ?? file.retires_at;
  if (version === undefined) {
    throw new UsageError('no version is named: give --base-model and --base-version, or version in --file');
  }
  if (path === undefined && (serving_name !== undefined || retires_at !== undefined)) {
    throw new UsageError('--serving-name and --retires-at are for a version that is registered with --path');
  }
  if (version.startsWith('bmv_') && path === undefined) return { id: version };
  if (model === undefined) {
    throw new UsageError(`--base-model is missing: version ${JSON.stringify(version)} is one of a base model`);
  }
  const register =
    path === undefined
      ? undefined
      : { ...toBasePlace(path), ...(serving_name && { serving_name }), ...(retires_at && { retires_at }) };
  return { model, version, ...(register && { register }) };
}
