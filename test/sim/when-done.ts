/** Runs a callback with the outcome of a promise; a failure that nobody expects ends the process, and with it the run. */
export function whenDone<Value>(
  promise: Promise<Value>,
  run: (value: Value) => void,
  failed?: (error: unknown) => void,
): void {
  void promise.then(run, failed);
}
