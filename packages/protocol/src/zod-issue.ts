import type { z } from 'zod';

/** The first thing that zod found wrong, as a field path and a sentence without the value. */
export function firstIssue(error: z.ZodError): { field: string; message: string } {
  const issue = error.issues[0];
  const field = issue === undefined || issue.path.length === 0 ? '(whole)' : issue.path.join('.');
  return { field, message: issue?.message ?? 'is invalid' };
}
