import { COPY, REVERT, type Coefficients } from '../../core/method/fusion/coefficients.ts';
import type { Adapter } from '../../core/models/lora/adapter.ts';
import { byClearSign, byShrunkSign, bySign, type BetaRule } from './direction-betas.ts';
import { maskedAdapter, wholeMaskedAdapter } from './gradient-signs.ts';
import { MIDDLE, type Priced, type Workshop } from './workshop.ts';

type MakeStart = (workshop: Workshop) => Promise<Priced<Adapter>>;

/** The untrained adapters that are compared, by the names that the tables have, in the order of the tables. */
export const STARTS: Readonly<Record<string, MakeStart>> = {
  copy: (workshop) => workshop.copy(),
  revert: (workshop) => workshop.fused(known(REVERT)),
  search: async (workshop) => workshop.fused(await workshop.searched()),
  'revert, diagonal': async (workshop) => workshop.truncatedByInputs(await workshop.whole(known(REVERT)), 'diagonal'),
  'revert, covariance': async (workshop) =>
    workshop.truncatedByInputs(await workshop.whole(known(REVERT)), 'covariance'),
  'revert, covariance of its own inputs': async (workshop) =>
    workshop.truncatedByInputs(await workshop.whole(known(REVERT)), 'covariance', 'update'),
  'search, diagonal': async (workshop) =>
    workshop.truncatedByInputs(await workshop.whole(await workshop.searched()), 'diagonal'),
  'search, covariance': async (workshop) =>
    workshop.truncatedByInputs(await workshop.whole(await workshop.searched()), 'covariance'),
  'search, covariance of its own inputs': async (workshop) =>
    workshop.truncatedByInputs(await workshop.whole(await workshop.searched()), 'covariance', 'update'),
  ...directionStarts('directions at copy, by sign', COPY, bySign),
  ...directionStarts('directions at copy, shrunk', COPY, byShrunkSign),
  ...directionStarts('directions in the middle, by sign', MIDDLE, bySign),
  ...directionStarts('directions in the middle, shrunk', MIDDLE, byShrunkSign),
  ...directionStarts('directions in the middle, if clear', MIDDLE, byClearSign),
  'masked copy': (workshop) => workshop.masked(0, maskedAdapter),
  'masked revert': (workshop) => workshop.masked(-1, maskedAdapter),
  // What an adapter of a larger rank could do, to tell an idea from its truncation.
  'revert, not truncated': (workshop) => workshop.whole(known(REVERT)),
  'directions in the middle, by sign, not truncated': (workshop) => workshop.directions(MIDDLE, bySign),
  'masked copy, not truncated': (workshop) => workshop.masked(0, wholeMaskedAdapter),
};

function directionStarts(name: string, point: Coefficients, rule: BetaRule): Record<string, MakeStart> {
  return {
    [name]: async (workshop) => workshop.truncated(await workshop.directions(point, rule)),
    [`${name}, covariance of its own inputs`]: async (workshop) =>
      workshop.truncatedByInputs(await workshop.directions(point, rule), 'covariance', 'update'),
  };
}

function known(value: Coefficients): Priced<Coefficients> {
  return { value, cost: { ms: 0, forward: 0, backward: 0 } };
}
