import type { ServedFeatures } from '../../../../core/formats/peft/serving-rules.ts';

/** Contents of an adapter folder, all checked against its base. */
export interface InspectedAdapter {
  rank: number;
  /** `lora_alpha` of adapter_config.json. */
  loraAlpha: number;
  /** Names of the adapted modules, for example `q_proj`. */
  targets: string[];
  /** Number of trainable parameters. */
  parameters: number;
  /** Features that decide whether engines can serve the adapter. */
  features: ServedFeatures;
}

/** Request to the inspection process: the folders of an adapter and of its base model version. */
export interface InspectionRequest {
  readonly folder: string;
  readonly baseFolder: string;
  /** Whether the base's folder has config.json alone, because workers fetch its weights. */
  readonly configOnly: boolean;
}

/** A fault of the files, with the fields of a FormatError. */
export interface FileFault {
  readonly message: string;
  readonly code: string;
  readonly file: string;
  readonly subject: string | undefined;
}

/** Answer of the inspection process to one request. */
export type InspectionAnswer =
  | { readonly type: 'inspected'; readonly inspected: InspectedAdapter }
  | { readonly type: 'fault'; readonly fault: FileFault }
  | { readonly type: 'failure'; readonly message: string };

/** Message from the inspection process. The first one says that the process is listening. */
export type InspectionMessage = { readonly type: 'online' } | InspectionAnswer;
