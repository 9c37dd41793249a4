import type { ServedFeatures } from '../../../../core/formats/peft/serving-rules.ts';

/** What an adapter folder holds, after all of it was checked against its base. */
export interface InspectedAdapter {
  rank: number;
  /** `lora_alpha` of adapter_config.json. */
  loraAlpha: number;
  /** Names of the adapted modules, for example `q_proj`. */
  targets: string[];
  /** Number of trainable parameters. */
  parameters: number;
  /** What decides whether engines serve it. */
  features: ServedFeatures;
}

/** What the process of an inspection is asked: the folders of an adapter and of its base model version. */
export interface InspectionRequest {
  readonly folder: string;
  readonly baseFolder: string;
  /** Whether that has config.json alone, because workers fetch the weights. */
  readonly configOnly: boolean;
}

/** A fault of the files, with the fields of a FormatError. */
export interface FileFault {
  readonly message: string;
  readonly code: string;
  readonly file: string;
  readonly subject: string | undefined;
}

/** One answer to each request. */
export type InspectionAnswer =
  | { readonly type: 'inspected'; readonly inspected: InspectedAdapter }
  | { readonly type: 'fault'; readonly fault: FileFault }
  | { readonly type: 'failure'; readonly message: string };

/** What the process says: first that it listens. */
export type InspectionMessage = { readonly type: 'online' } | InspectionAnswer;
