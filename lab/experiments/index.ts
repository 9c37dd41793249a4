import { exitCodeOf, printError } from '../../cli/process/errors.ts';
import { createOutput } from '../../cli/screen/output.ts';
import { experimentCommand, type ExperimentOptions } from './options.ts';
import { runExperiment } from './run/run-experiment.ts';

const options = experimentCommand().parse().opts<ExperimentOptions>();
await runExperiment(options, createOutput(options)).catch((error: unknown) => {
  printError(error, options.json);
  process.exitCode = exitCodeOf(error);
});
