/** Waiting for a condition of the outside world, which gives no signal when it comes true. */

export interface WaitOptions {
  /** What is waited for, as a noun phrase: it ends the message of the error. */
  readonly what: string;
  /** Default 30,000. */
  readonly timeoutMs?: number;
  /** Default 10: short against everything a control plane does. */
  readonly intervalMs?: number;
}

/**
 * Asks again and again until the answer is neither undefined nor false, and gives that answer.
 *
 * @throws Error if it does not come in time, or whatever `ask` throws.
 */
export async function waitFor<Answer>(
  ask: () => Answer | undefined | false | Promise<Answer | undefined | false>,
  { what, timeoutMs = 30_000, intervalMs = 10 }: WaitOptions,
): Promise<Answer> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > endMs) throw new Error(`After ${timeoutMs} ms there was still no ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
