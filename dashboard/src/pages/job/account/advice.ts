/** Explanation and advice for a job that ended without a published version, or that a fault has postponed. */
export interface Advice {
  /** Sentence that says what happened to the job. */
  readonly title: string;
  /** Things to do, the most promising first. */
  readonly steps: readonly string[];
}

const RETRY = 'Retry the job: what has failed may not happen again.';
const MORE_MEMORY =
  'The operator gives the worker more memory, or sets READAPT_PRECISION=int8 there. Then retry the job.';
const DATASET = 'Correct the dataset and give the adapter the new one (PATCH /v1/adapters/{id}). Then retry the job.';
const NEW_IMPORT = 'Import a version of the adapter whose files are sound, and start another rollout.';
const GOES_ON = 'Nothing has to be done: the job goes on by itself as soon as a worker can run it.';

/** Advice by the API's error code. Codes are stable. */
const ADVICE: Readonly<Record<string, Advice>> = {
  gate_not_reached: {
    title: 'No candidate has reached the gate',
    steps: [
      'Look at the ladder below: how far the best candidate is from the line of the gate.',
      'Retry with another strategy or more steps of training: a value that still rises may reach the line.',
      'If what is missing is acceptable, give the adapter a wider margin (PATCH /v1/adapters/{id}), and retry.',
    ],
  },
  gate_inconclusive: {
    title: 'The gate rows are too few to certify the best candidate',
    steps: [
      'Add gate rows to the dataset: the certificate below says about how many it takes. Then retry.',
      'If the value is good enough without a certificate, let the gate publish what is inconclusive ' +
        '(on_inconclusive: publish), and retry.',
      'A wider margin needs fewer rows.',
    ],
  },
  training_diverged: {
    title: 'The training has diverged',
    steps: ['Retry with a lower learning rate, for example a third of the one in the message.'],
  },
  insufficient_memory: { title: 'The job needs more memory than the workers have', steps: [MORE_MEMORY] },
  out_of_memory: { title: 'The training process ran out of memory', steps: [MORE_MEMORY] },
  timed_out: {
    title: 'The job took longer than its time limit',
    steps: [
      'Retry with fewer steps of training.',
      'The operator raises the limit, or lets a faster worker take such jobs.',
    ],
  },
  too_many_attempts: {
    title: 'The job has taken its worker down again and again',
    steps: ['The operator looks into the log of the worker for the cause.', 'Retry once it is mended.'],
  },
  training_process_died: {
    title: 'The training process has died',
    steps: [RETRY, 'If it lasts, the operator looks into the log of the worker.'],
  },
  training_process_not_started: { title: 'The training process of the worker cannot start', steps: [GOES_ON] },
  worker_fault: {
    title: 'The machine of a worker has failed',
    steps: [GOES_ON, 'The operator sees on the page of workers which.'],
  },
  disk_full: {
    title: 'The disk of a worker is full',
    steps: ['The operator frees space in its data folder.', GOES_ON],
  },
  quota_exceeded: {
    title: 'The tenant has used up what it may have',
    steps: ['Ask the operator for a higher limit, or wait until the month ends. Then retry the job.'],
  },
  dataset_missing: {
    title: 'The adapter has no dataset, which its gate needs',
    steps: ['Give the adapter a dataset with gate rows (PATCH /v1/adapters/{id}). Then retry the job.'],
  },
  insufficient_data: { title: 'The dataset lacks rows that the job needs', steps: [DATASET] },
  invalid_dataset: { title: 'A row of the dataset cannot be used', steps: [DATASET] },
  invalid_gate: { title: 'The gate cannot be judged', steps: ['Correct the gate of the adapter. Then retry the job.'] },
  incompatible_base_model_versions: {
    title: 'Adapters of the old base model version do not fit the new one',
    steps: [
      'The page of the base model version says what differs.',
      'Train the adapter on the new base, and import that as a version for it (POST /v1/adapters/{id}/versions).',
    ],
  },
  evolution_required: {
    title: 'The strategy needs what has changed between the base versions, which is not known',
    steps: ['Retry with the strategy auto, warm-start or scratch.'],
  },
  base_model_version_changed: {
    title: 'The files of a base model version have changed since they were registered',
    steps: ['The operator puts the files back, or registers them as a version of their own.'],
  },
  superseded: {
    title: 'A rollout to a newer version has taken the adapter',
    steps: ['Nothing has to be done: the adapter is carried over to the newer version.'],
  },
  adapter_modified: { title: 'The files of the adapter are not those that were imported', steps: [NEW_IMPORT] },
  not_finite: { title: 'A file holds numbers that are not finite', steps: [NEW_IMPORT] },
  invalid_adapter_config: { title: 'The configuration of the adapter cannot be used', steps: [NEW_IMPORT] },
  unsupported_adapter: { title: 'The adapter has parts that are not supported', steps: [NEW_IMPORT] },
  internal_error: {
    title: 'The service has failed at this job',
    steps: ['Give the operator the identifier of the job: the log says what has happened.', RETRY],
  },
};

/** Advice for a code that is not listed, for example one of a later version of the service. */
const FALLBACK: Advice = {
  title: 'The job could not be carried out',
  steps: [
    'Mend what the message names, then retry the job.',
    'If it names nothing of yours, give the operator the identifier of the job.',
  ],
};

export function adviceFor(code: string): Advice {
  return ADVICE[code] ?? FALLBACK;
}
