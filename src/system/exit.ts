/** Ending the process. */

/**
 * Sets the code that the process ends with once nothing keeps it alive, so that output is written and connections close
 * in order. The usual way for a `main.ts`.
 */
export function exitWhenIdle(code: number): void {
  process.exitCode = code;
}

/** Ends the process in this call. Output not yet written is lost, nothing is disposed: only for "at once" and "broken". */
export function exitNow(code: number): never {
  process.exit(code);
}
