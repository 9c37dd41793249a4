import Type, { type Static } from 'typebox';
import { Nullable, StrategySchema, Timestamp, used } from '../../../platform/contract/schemas.ts';
import { CertificateSchema, VerdictSchema } from '../job.schemas.ts';

const RungName = Type.Enum(['copy', 'revert', 'search', 'fine_tune', 'scratch'] as const, {
  title: 'RungName',
  description:
    '`copy`: the old adapter, unchanged. `revert`: with the change of the base undone. `search`: with the ' +
    'coefficients that its own search has found. `fine_tune`: trained from the best of these. `scratch`: trained ' +
    'from the start.',
});

const Rung = Type.Object(
  {
    rung: RungName,
    result: Nullable(
      Type.Enum(['passed', 'failed', 'inconclusive', 'skipped', 'not_run'] as const, {
        title: 'RungResult',
        description:
          "What the gate said of the rung's best candidate. `skipped`: there was nothing to try. `not_run`: an " +
          'earlier rung had passed, or the run ended before. Null while neither is known.',
      }),
    ),
    reason: Nullable(Type.String({ description: 'Why the rung was skipped or not run.' })),
    ms: Type.Number({
      description: 'Milliseconds spent on the rung, its looks at the gate rows and publications included.',
    }),
    best_candidate: Nullable(Type.String({ description: "The rung's best candidate: an `id` of `candidates`." })),
    looks: Type.Integer({ description: 'How many candidates of the rung the gate has judged.' }),
  },
  { title: 'LadderRung', description: 'A rung of the ladder, as one run of the job has tried it.' },
);

const Finding = Type.Object(
  {
    value: Nullable(
      Type.Number({
        description: 'The metric on the gate rows, estimated if not all were measured. Null if not finite.',
      }),
    ),
    best_case: Nullable(
      Type.Number({
        description:
          'Null, but for candidates of earlier releases: if a look ended because the candidate was certain to ' +
          'fail, the best value that was still possible. `value` is then null.',
        deprecated: true,
      }),
    ),
    standard_error: Nullable(Type.Number()),
    bound: Nullable(
      Type.Number({
        description:
          'The worst true value that the rows leave possible, at the confidence of this look. It certifies if it ' +
          'reaches `needed`.',
      }),
    ),
    needed: Nullable(Type.Number({ description: 'The value that had to be reached.' })),
    negative_flips: Nullable(
      Type.Number({ description: 'Rows that the old version had right and the candidate has wrong, as a share.' }),
    ),
    rows: Type.Integer({ description: 'Number of gate rows.' }),
    measured_rows: Type.Integer({ description: 'How many of them were measured: fewer if the look ended early.' }),
    ended: Type.Optional(
      Nullable(
        Type.Enum(['certified', 'futile'] as const, {
          title: 'LookEnd',
          description:
            'Why the look ended before all rows were measured. `certified`: the rows had shown enough. `futile`: the ' +
            'rows to come would hardly have certified the candidate. Null if all rows were measured.',
        }),
      ),
    ),
    verdict: VerdictSchema,
    failed: Type.Array(Type.String(), { description: 'What of the gate is not fulfilled.' }),
    certificate: Nullable(CertificateSchema),
    judged_in: Nullable(Type.String({ description: 'The precision of the base that it was measured on.' })),
  },
  { title: 'GateFinding', description: 'What the gate found and decided.' },
);

const Candidate = Type.Object(
  {
    id: Type.String({ description: 'The rung and, where it trains, the step: `fine_tune@40`.' }),
    rung: RungName,
    strategy: StrategySchema,
    fusion_alpha: Nullable(Type.Number({ description: 'The fusion coefficient α; null if it was not fused.' })),
    fusion_beta: Nullable(Type.Number({ description: 'Coefficient β of the fusion, if the candidate was fused.' })),
    step: Type.Integer({ description: 'Number of training steps of the rung that went into it.' }),
    search_loss: Nullable(Type.Number({ description: 'Its loss on the search rows, if the search has measured it.' })),
    elapsed_ms: Type.Number({ description: 'Milliseconds from the start of the run to the verdict.' }),
    gate: Finding,
  },
  { title: 'LadderCandidate', description: 'A candidate that the gate has judged.' },
);

export const LadderRun = Type.Object(
  {
    after_attempt: Type.Integer({
      description: 'Later attempts belong to the run. 0 for the first run; each retry of the job begins another one.',
    }),
    strategy: used(StrategySchema, { description: 'The strategy that the run was asked for.' }),
    ended: Type.Boolean({
      description: 'Whether the run has come to its end. False while it goes on, and where it was broken off.',
    }),
    current_rung: Nullable(
      used(RungName, {
        description: 'The rung that the run is on or was broken off on; null between two and at the end.',
      }),
    ),
    published_candidate: Nullable(
      Type.String({
        description: 'The candidate that is published or, of a control, has passed: an `id` of `candidates`.',
      }),
    ),
    rungs: Type.Array(Rung, { description: 'Every rung of the strategy, in order.' }),
    candidates: Type.Array(Candidate, {
      description:
        'The candidates that the gate has judged, in that order. Of more than 100, the first and the last 50.',
    }),
    candidates_left_out: Type.Integer({ description: 'Number of candidates in the middle that are left out.' }),
    updated_at: Timestamp,
  },
  { title: 'LadderRun', description: 'One run of a job up the ladder.' },
);
export type LadderRun = Static<typeof LadderRun>;

export const JobLadder = Type.Object(
  {
    recorded: Type.Boolean({
      description:
        'Whether there is a run. False until the first rung begins, and for jobs that ran before version 0.3, of ' +
        'which no ladder was kept.',
    }),
    data: Type.Array(LadderRun, { description: 'The last ten runs of the job, the first one first.' }),
  },
  { title: 'JobLadder', description: 'What a job has tried, run by run.' },
);
export type JobLadder = Static<typeof JobLadder>;

export const SearchPoint = Type.Object(
  {
    index: Type.Integer({ description: 'Its place in the search, from 0.' }),
    fusion_alpha: Type.Number({ description: 'α' }),
    fusion_beta: Type.Number({ description: 'β' }),
    rows: Type.Integer({ description: 'The loss was measured on so many of the search rows; 0 if that is not known.' }),
    loss: Type.Number({ description: 'Nats per completion token.' }),
    duration_ms: Type.Number({ minimum: 0 }),
  },
  { title: 'SearchPoint', description: 'A pair of fusion coefficients that a search has measured.' },
);
export type SearchPoint = Static<typeof SearchPoint>;

const Grid = (description: string) => Type.Array(Type.Number(), { description });

export const SearchSurrogate = Type.Object(
  {
    points: Type.Integer({ description: 'Number of evaluations that it is fitted to.' }),
    alpha: Grid('The values of α of the grid, ascending.'),
    beta: Grid('The values of β of the grid, ascending.'),
    mean: Grid(
      'Expected ln(loss / loss of the copy), below 0 where it is better than the copy: of the first α with each β, ' +
        'then of the next α. What was measured above e times the smallest loss counts as that.',
    ),
    standard_deviation: Grid('Standard deviation of the prediction, in the same order.'),
  },
  {
    title: 'SearchSurrogate',
    description:
      'The model of a search over α and β. Its arrays are empty for fewer than three different points, for more ' +
      'than 64, and where the copy was not measured, as by `relora-paper`.',
  },
);
export type SearchSurrogate = Static<typeof SearchSurrogate>;
