import type { ServedFeatures } from '../../../../core/formats/peft/serving-rules.ts';

/** Description of an adapter whose files have all been checked against the base model version. */
export interface InspectedAdapter {
  rank: number;
  /** LoRA alpha, which is `lora_alpha` in adapter_config.json. */
  loraAlpha: number;
  /** Names of the modules that the adapter changes, for example `q_proj`. */
  targets: string[];
  /** Number of trainable parameters of the adapter. */
  parameters: number;
  /** Features that decide whether engines can serve the adapter. */
  features: ServedFeatures;
}

/** Request to the inspection process: the paths of an adapter's folder and of the folder of its base model version. */
export interface InspectionRequest {
  readonly folder: string;
  readonly baseFolder: string;
  /**
   * Whether the base's folder has only config.json, because the service leaves the weights at their source until
   * workers fetch them.
   */
  readonly configOnly: boolean;
}

/** Fault that was found in the files of an adapter or its base, with the fields of a FormatError. */
export interface FileFault {
  readonly message: string;
  readonly code: string;
  readonly file: string;
  readonly subject: string | undefined;
}

/**
 * Answer of the inspection process to one request: a description of the adapter, a fault of the files, or a failure of
 * the inspection itself.
 */
export type InspectionAnswer =
  | { readonly type: 'inspected'; readonly inspected: InspectedAdapter }
  | { readonly type: 'fault'; readonly fault: FileFault }
  | { readonly type: 'failure'; readonly message: string };

/**
 * Message that the inspection process sends to its parent: first that it is ready for requests, then an answer to each
 * request.
 */
export type InspectionMessage = { readonly type: 'online' } | InspectionAnswer;
