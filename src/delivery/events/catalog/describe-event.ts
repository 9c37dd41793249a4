import Type from 'typebox';
import type { Prisma } from '../../../platform/database/database.ts';
import { ErrorOf } from '../../../platform/contract/schemas.ts';

/** What an event of one type says, and what its data holds. */
export interface EventDescription<D extends Type.TProperties = Type.TProperties> {
  /** One sentence, for the OpenAPI document and docs/events.md. */
  readonly description: string;
  readonly data: Type.TObject<D>;
}

/**
 * Describes a type of event. Later versions may add members to its data, and take none away.
 * @param title the name of the data's schema where several types share it
 */
export function describeEvent<D extends Type.TProperties>(
  description: string,
  data: D,
  title?: string,
): EventDescription<D> {
  return { description, data: Type.Object(data, title === undefined ? {} : { title }) };
}

/** Why something failed. The code's further members depend on the code. */
export const Failure = Type.Unsafe<Prisma.InputJsonObject>(ErrorOf('Why it failed.'));

/** A JSON object that another schema describes. */
export function ObjectLike(description: string) {
  return Type.Unsafe<Prisma.InputJsonObject>(Type.Object({}, { additionalProperties: true, description }));
}
