import type { BaseModelUpload } from '../../../remote/client.ts';
import type { UploadProgress } from '../../../remote/transfers.ts';
import { EXIT, ServiceError } from '../../../process/errors.ts';
import { interruptible } from '../../../process/interruption.ts';
import { createOutput, percent, type Output } from '../../../screen/output.ts';
import { splitReference } from '../../../remote/find.ts';
import { withService, type Service, type ServiceOptions } from '../../../remote/service.ts';
import { localFiles } from './local-files.ts';

export interface UploadOptions extends ServiceOptions {
  readonly register?: string;
  readonly servingName?: string;
  readonly again?: boolean;
}

const PHASES = { reading: 'reading files for their digests', sending: 'sending', verifying: 'the service verifies' };

/** Sends a base model to a service. Resumes an earlier upload of the same files. */
export async function uploadBase(places: readonly string[], options: UploadOptions): Promise<void> {
  const files = await localFiles(places);
  const reference = options.register === undefined ? null : splitReference(options.register);
  const output = createOutput(options);
  await interruptible((signal) =>
    withService(
      options,
      async (service) => {
        const { UploadFailedError, uploadBaseModel } = await import('../../../remote/transfers.ts');
        if (reference !== null) await requireModel(service, reference.model);
        const upload = await uploadBaseModel({
          ...{ client: service.client, files, again: options.again ?? false, signal },
          onProgress: (progress) => output.progress(progressLine(progress)),
        }).catch((error: unknown) => {
          if (!(error instanceof UploadFailedError)) throw error;
          const code = error.upload.error?.code ?? 'upload_failed';
          const exitCode = error.upload.state === 'failed' ? EXIT.usage : EXIT.failed;
          throw new ServiceError(error.message, { code, exitCode });
        });
        const version = reference === null ? null : await registerVersion(service, upload, { ...options, reference });
        report(output, upload, version);
      },
      { following: true },
    ),
  );
}

/**
 * Fails if the service does not have the base model of which a version is to be registered. The check comes before any
 * file is read.
 */
async function requireModel({ client }: Service, model: string): Promise<void> {
  const { getBaseModel } = await import('../../../remote/client.ts');
  await getBaseModel({ client, path: { model } });
}

async function registerVersion(
  { client }: Service,
  { source }: BaseModelUpload,
  { reference, servingName }: UploadOptions & { reference: { model: string; version: string } },
) {
  const { createBaseModelVersion } = await import('../../../remote/client.ts');
  const { model, version } = reference;
  const body = {
    ...{ version, source, start_rollout: false },
    ...(servingName !== undefined && { serving_name: servingName }),
  };
  return (await createBaseModelVersion({ client, path: { model }, body })).base_model_version;
}

function progressLine({ phase, done, total }: UploadProgress): string {
  return `${PHASES[phase]}: ${percent(total === 0 ? 1 : done / total, 0)} of ${(total / 2 ** 30).toFixed(2)} GiB`;
}

function report(
  output: Output,
  upload: BaseModelUpload,
  version: Awaited<ReturnType<typeof registerVersion>> | null,
): void {
  const rows: [string, string][] = [
    ['upload', upload.id],
    ['state', upload.state],
    ['source', upload.source],
  ];
  if (version !== null) rows.push(['version', `${version.base_model_name}@${version.version} (${version.id})`]);
  const next = `register it with: readapt base-versions register MODEL@VERSION --path ${upload.source}\n`;
  output.result({ upload, base_model_version: version }, rows, version === null ? next : '');
}
