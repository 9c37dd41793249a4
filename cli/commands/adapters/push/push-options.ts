import type { MetricName } from '../../../../core/options/metrics.ts';
import type { GateOptions } from '../../../options/gate-options.ts';
import type { ServiceOptions } from '../../../remote/service.ts';

export interface PushOptions extends ServiceOptions, GateOptions {
  readonly name: string;
  readonly baseModel?: string;
  readonly baseVersion: string;
  readonly data?: string;
  readonly dataset?: string;
  readonly metric?: MetricName;
  readonly label?: Readonly<Record<string, string>>;
  readonly tenant?: string;
  readonly hubToken?: true;
}
