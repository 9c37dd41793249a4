import { createContext, useContext } from 'react';
import type { Draft } from '../request/draft.ts';
import type { FieldErrors } from '../request/request.ts';

interface Form {
  readonly draft: Draft;
  readonly errors: FieldErrors;
  readonly change: (part: Partial<Draft>) => void;
}

export const FormContext = createContext<Form | null>(null);

/** Draft of the surrounding form, its errors, and the function that changes it. */
export function useForm(): Form {
  const form = useContext(FormContext);
  if (form === null) throw new Error('a field stands outside of its form');
  return form;
}
